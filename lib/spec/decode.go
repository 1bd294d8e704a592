package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// decode reads a document as json.Unmarshal does, without first looking at all types that one could hold, as
// [encode] does not. Where it stumbles, json.Unmarshal says over what.
func decode(data []byte, s *specs.Spec) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // 64-bit values do not survive a float64
	err := decodeValue(dec, reflect.ValueOf(s).Elem())
	if err == nil {
		if _, err = dec.Token(); err == io.EOF {
			return nil
		}
	}
	*s = specs.Spec{}
	return json.Unmarshal(data, s)
}

var errOtherType = errors.New("a value of another type")

func decodeValue(dec *json.Decoder, v reflect.Value) error {
	if v.Type() == reflect.TypeFor[[]string]() { // in one go: the names of a seccomp profile are hundreds
		if dec.Decode(v.Addr().Interface()) != nil {
			return errOtherType
		}
		return nil
	}
	token, err := dec.Token()
	if err != nil {
		return err
	}
	for v.Kind() == reflect.Pointer && token != nil {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	switch token := token.(type) {
	case nil: // what is there becomes none, or stays where there is no none
		if k := v.Kind(); k == reflect.Pointer || k == reflect.Map || k == reflect.Slice || k == reflect.Interface {
			v.SetZero()
		}
		return nil
	case string:
		if v.Kind() != reflect.String {
			return errOtherType
		}
		v.SetString(token)
		return nil
	case bool:
		if v.Kind() != reflect.Bool {
			return errOtherType
		}
		v.SetBool(token)
		return nil
	case json.Number:
		return decodeNumber(string(token), v)
	case json.Delim:
		switch {
		case token == '[' && v.Kind() == reflect.Slice:
			return decodeSlice(dec, v)
		case token == '{' && v.Kind() == reflect.Map:
			return decodeMap(dec, v)
		case token == '{' && v.Kind() == reflect.Struct:
			return decodeStruct(dec, v)
		}
	}
	return errOtherType
}

func decodeNumber(text string, v reflect.Value) error {
	switch {
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
		return err
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return err
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(n)
		return err
	}
	return errOtherType
}

func decodeSlice(dec *json.Decoder, v reflect.Value) error {
	v.Set(reflect.MakeSlice(v.Type(), 0, 4))
	for dec.More() {
		n := v.Len()
		if n == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		v.Index(n).SetZero()
		if err := decodeValue(dec, v.Index(n)); err != nil {
			return err
		}
	}
	_, err := dec.Token() // its end
	return err
}

func decodeMap(dec *json.Decoder, v reflect.Value) error {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		return errOtherType
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(t))
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		value := reflect.New(t.Elem()).Elem()
		if err := decodeValue(dec, value); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), value)
	}
	_, err := dec.Token()
	return err
}

func decodeStruct(dec *json.Decoder, v reflect.Value) error {
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		field := fieldNamed(v, name)
		if !field.IsValid() {
			var unknown json.RawMessage
			if err := dec.Decode(&unknown); err != nil {
				return err
			}
			continue
		}
		if err := decodeValue(dec, field); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// fieldNamed returns the field of a struct that a member sets: of the very name, else of one that differs in
// case alone.
func fieldNamed(v reflect.Value, name string) (found reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && tag == "":
			if inner := fieldNamed(v.Field(i), name); inner.IsValid() {
				found = inner
			}
		case !field.IsExported() || tag == "-":
		case tag == name:
			return v.Field(i)
		case strings.EqualFold(tag, name):
			found = v.Field(i)
		}
	}
	return found
}
