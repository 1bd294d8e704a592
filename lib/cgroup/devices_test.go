package cgroup

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/spec"
)

func TestAnnotatedDevices(t *testing.T) {
	for _, tt := range []struct{ words, want string }{
		{"", ""},
		{"c 10:229 rwm", "devices.allow c 10:229 rwm"},
		{"c 1:3 r,b 8:0 rw", "devices.allow c 1:3 r, devices.allow b 8:0 rw"},
		{"a", "devices.allow a"},
	} {
		s := spec.New("0123456789ab")
		s.Annotate(spec.AnnotationDevices, tt.words)
		rules, err := Devices{}.rules(s)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rules {
			file, line := deviceRule(r)
			got = append(got, file+" "+line)
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%q: %q", tt.words, got)
		}
	}
	for _, bad := range []string{"c", "c 1:3", "c 1:3 q", "c -1:3 r", "p 1:3 r", "c 1:3 rwmr", "c 1:3 r\nb 8:0 r", "c 1:3  r", ","} {
		s := spec.New("0123456789ab")
		s.Annotate(spec.AnnotationDevices, bad)
		if rules, err := (Devices{}).rules(s); err == nil || !strings.Contains(fmt.Sprint(err), "mydocker.devices") {
			t.Errorf("%q: %v %v", bad, rules, err)
		}
	}
}
