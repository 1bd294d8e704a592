package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestGlanceIsRead: what a glance shows is what reading shows, in whatever order the members stand.
func TestGlanceIsRead(t *testing.T) {
	s := New("0123456789ab")
	s.Annotate(AnnotationName, "web")
	s.Process.Args = []string{"httpd", "-f"}
	s.LinuxPart().CgroupsPath = "/mydocker/0123456789ab"
	s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	members := string(data[:len(data)-2])
	for name, text := range map[string]string{
		"ours":                string(data),
		"cut in the filter":   string(data[:strings.Index(string(data), "SCMP_ACT_ERRNO")]),
		"cut behind the last": string(data[:strings.Index(string(data), `"cgroupsPath"`)]) + `"cgroupsPath": "/mydocker/0123456789ab"`,
		"no blanks":           compact(t, data),
		"foreign members":     strings.Replace(string(data), "{", `{"x": {"annotations": 5}, "y": [{}],`, 1),
		"more after the end":  members + `, "zzz": {}}`,
		"linux first": `{"linux": {"seccomp": {"defaultAction": "x"}, "cgroupsPath": "/mydocker/0123456789ab"},` +
			strings.Replace(strings.TrimPrefix(string(data), "{"), `"linux"`, `"other"`, 1),
	} {
		got, err := Glance([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(got.Annotations, s.Annotations) ||
			!reflect.DeepEqual(got.Process.Args, s.Process.Args) || got.Linux.CgroupsPath != s.Linux.CgroupsPath {
			t.Errorf("%s: %+v", name, got.Spec)
		}
	}
}

func compact(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGlancePasses has what stands in the way of what is looked for.
func TestGlancePasses(t *testing.T) {
	for _, other := range []string{
		`"}"`, `"\""`, `"\\"`, `"\\\"]"`, `{"}": "]"}`, `[["a", {"b": ["\"}"]}], 1]`, `-1.5e3`, `true`, `null`, `[]`, `{}`, `""`, `"linux"`,
	} {
		for _, form := range []string{
			`{"x": %s, "ociVersion": "1.1.0", "linux": {"y": %[1]s, "cgroupsPath": "/a"}, "annotations": {}, "process": {"args": ["b"]}}`,
			`{"ociVersion":"1.1.0","linux":{"cgroupsPath":"/a","y":%s},"x":%[1]s,"annotations":{},"process":{"args":["b"],"z":%[1]s}}`,
		} {
			text := fmt.Sprintf(form, other)
			if !json.Valid([]byte(text)) {
				t.Fatalf("%s is no JSON", text)
			}
			s, err := Glance([]byte(text))
			if err != nil || s.Linux.CgroupsPath != "/a" || len(s.Process.Args) != 1 || s.Process.Args[0] != "b" {
				t.Errorf("%s: %+v, %v", text, s, err)
			}
		}
	}
}

// TestGlanceAtLittle has documents without what is looked for, and what is none.
func TestGlanceAtLittle(t *testing.T) {
	if s, err := Glance([]byte(`{"ociVersion": "1.0.2"}`)); err != nil || s.ID() != "" || s.Name() != "" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{
		"", " ", "{", "5", "[]", "null", `{"ociVersion": "2.0.0"}`, `{"ociVersion": "1.0.0"`, `{"ociVersion": "1.0.0", "annotations": {"a": 1}}`,
		`{"ociVersion": "1.0.0", "annotations": {}, "linux": []}`, `{"ociVersion": "1.0.0", "process": {"args": ["a"`,
	} {
		if s, err := Glance([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "read the document: ") {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
}
