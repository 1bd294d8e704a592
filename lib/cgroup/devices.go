package cgroup

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spec"
)

// DefaultDevices are the rules that every container has: no device but the harmless ones, though
// any node may be made (docker's rules).
func DefaultDevices() []specs.LinuxDeviceCgroup {
	const any = -1
	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	for _, d := range []struct {
		kind         string
		major, minor int64
		access       string
	}{
		{"c", any, any, "m"}, {"b", any, any, "m"},
		{"c", 1, 3, "rwm"}, {"c", 1, 5, "rwm"}, {"c", 1, 7, "rwm"}, // null, zero, full
		{"c", 1, 8, "rwm"}, {"c", 1, 9, "rwm"}, // random, urandom
		{"c", 5, 0, "rwm"}, {"c", 5, 1, "rwm"}, {"c", 5, 2, "rwm"}, // tty, console, ptmx
		{"c", 136, any, "rwm"}, // pts/*
	} {
		rule := specs.LinuxDeviceCgroup{Allow: true, Type: d.kind, Access: d.access}
		if d.major != any {
			rule.Major = &d.major
		}
		if d.minor != any {
			rule.Minor = &d.minor
		}
		rules = append(rules, rule)
	}
	return rules
}

// withDefaultDevices returns the rules of a document with the default ones behind them, unless they are
// there: a container has its /dev/null whatever the document denies (runtime-spec, config-linux.md
// "Default Devices"), and the documents of other tools count on that.
func withDefaultDevices(rules []specs.LinuxDeviceCgroup) []specs.LinuxDeviceCgroup {
	usual := DefaultDevices()
	allowed := usual[1:] // what is denied is for the document to say
	behind := max(0, len(rules)-len(allowed))
	switch {
	case len(rules) == 0:
		return usual
	case len(extraDevices(rules)) < len(rules), reflect.DeepEqual(rules[behind:], allowed):
		return rules
	}
	return slices.Concat(rules, allowed)
}

// annotatedDevices returns the rules for the devices that md-rootfs mount --device gave the container, which
// linux.devices has no field for.
func annotatedDevices(s *spec.Spec) ([]specs.LinuxDeviceCgroup, error) {
	words := s.Annotation(spec.AnnotationDevices)
	if words == "" {
		return nil, nil
	}
	var rules []specs.LinuxDeviceCgroup
	for _, word := range strings.Split(words, ",") {
		if word == "a" {
			rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: "a", Access: "rwm"})
			continue
		}
		var kind, access string
		var major, minor int64
		_, err := fmt.Sscanf(word, "%1s %d:%d %3s", &kind, &major, &minor, &access)
		if err != nil || word != fmt.Sprintf("%s %d:%d %s", kind, major, minor, access) || strings.Trim(kind, "bc") != "" ||
			strings.Trim(access, "rwm") != "" || major < 0 || minor < 0 {
			return nil, fmt.Errorf("annotation %s: %.40q: want c or b, MAJOR:MINOR, and r, w or m", spec.AnnotationDevices, word)
		}
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: kind, Major: &major, Minor: &minor, Access: access})
	}
	return rules, nil
}

// deviceRule returns a rule in the kernel's words: the file and the line to write to it
// (cgroup-v1/devices.rst).
func deviceRule(d specs.LinuxDeviceCgroup) (file, line string) {
	file = "devices.deny"
	if d.Allow {
		file = "devices.allow"
	}
	if d.Type == "" || d.Type == "a" {
		return file, "a" // the kernel takes no numbers with it
	}
	access := d.Access
	if access == "" {
		access = "rwm"
	}
	return file, d.Type + " " + deviceNumber(d.Major) + ":" + deviceNumber(d.Minor) + " " + access
}

func deviceNumber(n *int64) string {
	if n == nil || *n < 0 {
		return "*"
	}
	return strconv.FormatInt(*n, 10)
}
