package spec

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encode returns what json.Marshal does, byte for byte. Before it encodes the first document, encoding/json
// makes encoders for all types that one could hold, those of Windows and Solaris included: half a millisecond
// for a process that writes one document. This looks only at what is there.
func encode(v any) ([]byte, error) { return appendValue(make([]byte, 0, 8192), reflect.ValueOf(v)) }

func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		return appendValue(b, v.Elem())
	case reflect.Struct:
		b, _, err := appendMembers(append(b, '{'), v, true)
		return append(b, '}'), err
	case reflect.Map:
		return appendMap(b, v)
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			break
		}
		return appendSlice(b, v)
	case reflect.String:
		if text := v.String(); plain(text) {
			return append(append(append(b, '"'), text...), '"'), nil
		}
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	}
	data, err := json.Marshal(v.Interface())
	return append(b, data...), err
}

// appendMembers appends the fields of a struct, those of embedded ones among them.
func appendMembers(b []byte, v reflect.Value, first bool) (_ []byte, stillFirst bool, err error) {
	t := v.Type()
	for i := range t.NumField() {
		field, value := t.Field(i), v.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			if b, first, err = appendMembers(b, value, first); err != nil {
				return b, first, err
			}
			continue
		case !field.IsExported(), name == "-", options == "omitempty" && isEmpty(value):
			continue
		case name == "":
			name = field.Name
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(append(append(b, '"'), name...), '"', ':')
		if b, err = appendValue(b, value); err != nil {
			return b, first, err
		}
	}
	return b, first, nil
}

func appendMap(b []byte, v reflect.Value) (_ []byte, err error) {
	if v.IsNil() {
		return append(b, "null"...), nil
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, key); err != nil {
			return b, err
		}
		if b, err = appendValue(append(b, ':'), v.MapIndex(key)); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendSlice(b []byte, v reflect.Value) (_ []byte, err error) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, v.Index(i)); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

// isEmpty is what omitempty leaves out (encoding/json, Marshal).
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// plain reports whether a text means itself between quotes.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
