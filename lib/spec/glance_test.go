package spec

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestGlance: Glance agrees with Read for any order of members, and returns false if Read is needed.
func TestGlance(t *testing.T) {
	s := New("0123456789ab")
	s.Annotate(AnnotationName, "web")
	s.Process.Args = []string{"httpd", "-f", `"}]\\`}
	s.LinuxPart().CgroupsPath = "/mydocker/0123456789ab"
	s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	ours := string(data)
	cut := func(before string) string { return ours[:strings.Index(ours, before)] }
	without := func(member string) string { return strings.Replace(ours, `"`+member+`"`, `"other"`, 1) }
	tests := []struct {
		name, text string
		enough     bool
	}{
		{"ours", ours, true},
		{"cut in seccomp", cut("SCMP_ACT_ERRNO"), true},
		{"compact", compact(t, data), true},
		{"unknown members", strings.Replace(ours, "{", `{"x": {"annotations": 5, "process": {"args": 1}}, "y": [{"}": "]"}],`, 1), true},
		{"linux first", `{"linux": {"seccomp": {"defaultAction": "x"}, "cgroupsPath": "/mydocker/0123456789ab"},` + without("linux")[1:], true},
		{"cut in a path", cut("ydocker/0123456789ab"), false},
		{"cut in the annotations", cut(AnnotationName), false},
		{"cut in the arguments", cut("httpd"), false},
		{"no annotations", without("annotations"), false},
		{"no process", without("process"), false},
		{"no cgroup", without("cgroupsPath"), false},
		{"another version", strings.Replace(ours, `"ociVersion": "1`, `"ociVersion": "2`, 1), false},
		{"another type", strings.Replace(ours, `"args": [`, `"args": [1,`, 1), false},
		{"empty", "", false},
		{"number", "5", false},
		{"array", "[" + ours + "]", false},
	}
	for _, tt := range tests {
		got, ok := Glance([]byte(tt.text))
		if ok != tt.enough {
			t.Errorf("%s: %v", tt.name, ok)
		}
		if ok && (!reflect.DeepEqual(got.Annotations, s.Annotations) ||
			!reflect.DeepEqual(got.Process.Args, s.Process.Args) || got.Linux.CgroupsPath != s.Linux.CgroupsPath) {
			t.Errorf("%s: %+v", tt.name, got.Spec)
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
