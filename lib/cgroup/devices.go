package cgroup

import (
	"reflect"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
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
