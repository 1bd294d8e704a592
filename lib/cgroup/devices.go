package cgroup

import (
	"reflect"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultDevices returns the rules of every container, which are docker's: mknod of any device, and use
// of the harmless ones.
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

// withDefaultDevices appends the default rules to those of a document, unless it has them: a container has
// /dev/null whatever the document denies (runtime-spec, config-linux.md "Default Devices"), and documents of
// other tools rely on it.
func withDefaultDevices(rules []specs.LinuxDeviceCgroup) []specs.LinuxDeviceCgroup {
	usual := DefaultDevices()
	allowed := usual[1:] // without the denial, which the document decides
	behind := max(0, len(rules)-len(allowed))
	switch {
	case len(rules) == 0:
		return usual
	case len(extraDevices(rules)) < len(rules), reflect.DeepEqual(rules[behind:], allowed):
		return rules
	}
	return slices.Concat(rules, allowed)
}

// deviceRule returns the v1 file of a rule and the line to write to it (cgroup-v1/devices.rst).
func deviceRule(d specs.LinuxDeviceCgroup) (file, line string) {
	file = "devices.deny"
	if d.Allow {
		file = "devices.allow"
	}
	if d.Type == "" || d.Type == "a" {
		return file, "a" // the kernel ignores anything after it
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

// devices plans v1's rules, or a program if v1's controller is not mounted.
func (p *plan) devices(rules []specs.LinuxDeviceCgroup) {
	const field = "linux.resources.devices"
	switch {
	case len(rules) == 0:
	case p.trees.find("devices") != nil:
		for _, rule := range rules {
			file, line := deviceRule(rule)
			p.set("devices", field, file, line)
		}
	case p.trees.unified() != nil:
		p.program = evaluateRules(rules).program()
	default: // a container that can use any device could take over the host
		p.refuse(field, "no cgroup hierarchy limits devices", p.mountHint("devices"))
	}
}
