package spec

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestEncodeIsMarshal fills documents at random, every field of every platform, and encodes them both ways.
func TestEncodeIsMarshal(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s specs.Spec
		fillRandomly(random, reflect.ValueOf(&s).Elem(), 0)
		want, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := encode(&s)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v\ngot  %s\nwant %s", err, got, want)
		}
	}
	if _, err := encode(&specs.Spec{Windows: &specs.Windows{CredentialSpec: func() {}}}); err == nil {
		t.Error("a function is encoded")
	}
}

// fillRandomly sets about half of what can be set.
func fillRandomly(random *rand.Rand, v reflect.Value, depth int) {
	if random.IntN(2) == 0 && depth > 0 || depth > 12 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillRandomly(random, v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fillRandomly(random, v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), random.IntN(3), 3))
		for i := range v.Len() {
			fillRandomly(random, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range random.IntN(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fillRandomly(random, key, 0)
			fillRandomly(random, value, depth+1)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		texts := []string{"", "plain", "ä \u2028", "a\"b\\c\n\t\x00", "<&>", "\xff", "/proc/self"}
		v.SetString(texts[random.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf(map[string]any{"x": 1.5}))
	default:
		if v.CanInt() {
			v.SetInt(int64(random.Uint64()) >> 57)
		} else if v.CanUint() {
			v.SetUint(random.Uint64() >> 57)
		} else if v.CanFloat() {
			v.SetFloat(random.Float64())
		}
	}
}
