package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// keepUnknown returns the document edited, with what source says beyond the fields that
// specs.Spec knows. Known fields are edited's alone, the removed ones included.
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
	if bytes.Equal(compact.Bytes(), before) { // nothing unknown in it, as is usual
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

// merge applies to source what changed from before to after. before is source less the unknown.
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
			out[key] = value // unknown, or known and left out by omitempty
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

// foldCase makes one of all the spellings of a field that encoding/json takes for it: upper and lower case are the same.
func foldCase(key string) string { return strings.ToLower(strings.ToUpper(key)) }

// mergeArray finds each element of after among those of before, so that unknown fields stay with
// their element when others are put before it or taken away: first those that are equal, then those
// that are changed.
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

// sameThing reports whether a changed element of a list is still the same one. What names it decides,
// and where it stands where nothing names it.
func sameThing(a, b any, samePlace bool) bool {
	name := elementName(a)
	if name == "" {
		return samePlace && elementName(b) == ""
	}
	return name == elementName(b)
}

// elementName returns what names an element of a list of the document: a mount its destination, a
// namespace or a limit its type, a hook or a device (which has a type, too) its path.
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
