package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// keepUnknown returns edited with the fields of source that specs.Spec does not know. Known fields are those of edited
// alone, so removed ones stay removed.
func keepUnknown(source, edited []byte) ([]byte, error) {
	var known specs.Spec
	if err := json.Unmarshal(source, &known); err != nil {
		return nil, err
	}
	before, err := json.Marshal(&known)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, source); err != nil {
		return nil, err
	}
	if bytes.Equal(compact.Bytes(), before) { // no unknown fields, the usual case
		return edited, nil
	}
	var trees [3]any
	for i, data := range [][]byte{source, before, edited} {
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber() // 64-bit values do not survive a float64
		if err := dec.Decode(&trees[i]); err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
	}
	return json.Marshal(merge(trees[0], trees[1], trees[2]))
}

// merge applies the changes from before to after to source. before is source without its unknown fields.
func merge(source, before, after any) any {
	switch after := after.(type) {
	case map[string]any:
		src, ok1 := source.(map[string]any)
		old, ok2 := before.(map[string]any)
		if !ok1 || !ok2 {
			return after
		}
		return mergeObject(src, old, after)
	case []any:
		src, ok1 := source.([]any)
		old, ok2 := before.([]any)
		if !ok1 || !ok2 || len(src) != len(old) {
			return after
		}
		return mergeArray(src, old, after)
	}
	if equal(before, after) {
		return source
	}
	return after
}

func mergeObject(source, before, after map[string]any) map[string]any {
	out := make(map[string]any, len(source))
	known := make(map[string]bool, len(before)+len(after))
	for _, object := range []map[string]any{before, after} {
		for key := range object {
			known[foldCase(key)] = true
		}
	}
	for key, value := range source {
		if _, exactly := before[key]; !exactly && !known[foldCase(key)] {
			out[key] = value // unknown field, or a known one that omitempty has left out
		}
	}
	for key, value := range after {
		if was, ok := source[key]; ok {
			value = merge(was, before[key], value)
		}
		out[key] = value
	}
	return out
}

// foldCase maps all spellings that encoding/json accepts for a field to one: it ignores case.
func foldCase(key string) string { return strings.ToLower(strings.ToUpper(key)) }

// mergeArray matches the elements of after to those of before, first equal ones, then changed ones, so that unknown
// fields stay with their element when others are inserted or removed.
func mergeArray(source, before, after []any) []any {
	out := make([]any, len(after))
	used := make([]bool, len(before))
	found := make([]bool, len(after))
	for i, value := range after {
		for j := range before {
			if !used[j] && equal(before[j], value) {
				out[i], used[j], found[i] = source[j], true, true
				break
			}
		}
	}
	for i, value := range after {
		if found[i] {
			continue
		}
		out[i] = value
		for j := range before {
			if !used[j] && sameThing(before[j], value, i == j && len(before) == len(after)) {
				out[i], used[j] = merge(source[j], before[j], value), true
				break
			}
		}
	}
	return out
}

// sameThing reports whether two elements of a list are versions of the same one: by name, or by position if they have
// none.
func sameThing(a, b any, samePlace bool) bool {
	name := elementName(a)
	if name == "" {
		return samePlace && elementName(b) == ""
	}
	return name == elementName(b)
}

// elementName returns what identifies an element of a list: the destination of a mount, the type of a namespace or
// limit, the path of a hook or device (which has a type, too).
func elementName(v any) string {
	object, _ := v.(map[string]any)
	_, device := object["major"]
	for _, key := range []string{"destination", "type", "path"} {
		if name, ok := object[key].(string); ok && !(key == "type" && device) {
			return key + " " + name
		}
	}
	return ""
}

func equal(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
