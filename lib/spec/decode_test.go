package spec

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// sameAsUnmarshal decodes a document both ways.
func sameAsUnmarshal(t *testing.T, data []byte) {
	t.Helper()
	var got, want specs.Spec
	err, wantErr := decode(data, &got), json.Unmarshal(data, &want)
	switch {
	case (err == nil) != (wantErr == nil), err != nil && err.Error() != wantErr.Error():
		t.Errorf("%.300s: got %v, want %v", data, err, wantErr)
	case err == nil && !reflect.DeepEqual(got, want):
		t.Errorf("%.300s:\ngot  %+v\nwant %+v", data, got, want)
	}
}

// TestDecodeIsUnmarshal decodes documents that are filled at random, and then each of them with something
// wrong in a place.
func TestDecodeIsUnmarshal(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"null", "5", "-1", "1.5", "1e400", `"x"`, "{}", "[]", "true", ",", ":", "}", `"ANNOTATIONS":`, "99999999999999999999"}
	for range 100 {
		var s specs.Spec
		fillRandomly(random, reflect.ValueOf(&s).Elem(), 0)
		data, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		sameAsUnmarshal(t, data)
		for range 20 {
			at, piece := random.IntN(len(data)), pieces[random.IntN(len(pieces))]
			sameAsUnmarshal(t, append(append(bytes.Clone(data[:at]), piece...), data[at:]...))
			if colon := bytes.IndexByte(data[at:], ':'); colon >= 0 { // in place of a value, or of its beginning
				at += colon + 1
				end := at + len(data[at:]) - len(bytes.TrimLeft(data[at:], `"abcdefghijklmnopqrstuvwxyz0123456789`))
				sameAsUnmarshal(t, append(append(bytes.Clone(data[:at]), piece...), data[end:]...))
			}
		}
	}
}

func TestDecodeOddities(t *testing.T) {
	for _, text := range []string{
		"", " ", "{", "null", "[]", "5", `"x"`, "{} x", "{}{}", "{},", `{"process": {}, "process": null}`, `{"mounts": [], "mounts": [{}]}`,
		`{"OCIVERSION": "1.0.0"}`, `{"ociversion": "1", "ociVersion": "2"}`, `{"ociVersion": "2", "ociversion": "1"}`, `{"x": {"y": [1, {}]}}`,
		`{"annotations": {"a": "1", "a": "2"}}`, `{"annotations": {"a": "1"}, "annotations": {"b": "2"}}`, `{"annotations": {"a": null}}`,
		`{"process": {"args": ["a", null, "\ud83d\ude00", "\ud83d"]}}`, `{"process": {"user": {"uid": 4294967296}}}`, `{"process": {"user": {"umask": 18}}}`,
		`{"linux": {"resources": {"blockIO": {"weightDevice": [{"major": 1, "minor": 2, "weight": 10}]}}}}`,
		`{"linux": {"devices": [{"fileMode": 438, "uid": 0}, {"fileMode": null}]}}`, `{"windows": {"credentialSpec": {"a": [1]}}}`,
		`{"process": {"oomScoreAdj": -5, "rlimits": [{"type": "RLIMIT_CORE", "hard": 18446744073709551615}]}}`, `{"process": {"oomScoreAdj": 1.0}}`,
	} {
		sameAsUnmarshal(t, []byte(text))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"ociVersion": "1.0.0", "linux": {"devices": [{"major": 1}]}}`)
	f.Fuzz(func(t *testing.T, text string) { sameAsUnmarshal(t, []byte(text)) })
}

func BenchmarkDecode(b *testing.B) {
	data, err := New(strings.Repeat("0", 12)).Encode()
	if err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func([]byte, *specs.Spec) error{
		"decode":    decode,
		"unmarshal": func(data []byte, s *specs.Spec) error { return json.Unmarshal(data, s) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(data, new(specs.Spec)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
