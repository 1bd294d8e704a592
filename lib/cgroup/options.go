package cgroup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spec"
)

// Options are the cgroup options of a new container: its limits and the devices that it may use.
type Options struct {
	Limits
	Devices
}

// Check validates the options. It changes nothing.
func (o Options) Check() error {
	if err := o.Limits.Check(); err != nil {
		return err
	}
	_, err := o.Devices.rules(nil)
	return err
}

// Devices are the devices that a container may use in addition to [DefaultDevices].
type Devices struct {
	DeviceRule []string `name:"device-cgroup-rule" sep:"none" help:"Let the container use devices by their numbers, e.g. 'c 10:229 rwm' or 'b 8:* r'"`
}

// rules returns the rules of the devices that md-rootfs added to the document, followed by those of the
// options.
func (d Devices) rules(s *spec.Spec) ([]specs.LinuxDeviceCgroup, error) {
	var rules []specs.LinuxDeviceCgroup
	if s != nil && s.Annotation(spec.AnnotationDevices) != "" {
		for word := range strings.SplitSeq(s.Annotation(spec.AnnotationDevices), ",") {
			rule, err := parseDeviceRule(word)
			if err != nil {
				return nil, fmt.Errorf("annotation %s: %.80q: %w", spec.AnnotationDevices, word, err)
			}
			rules = append(rules, rule)
		}
	}
	for _, word := range d.DeviceRule {
		rule, err := parseDeviceRule(word)
		if err != nil {
			return nil, fmt.Errorf("--device-cgroup-rule %.80q: %w", word, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// parseDeviceRule parses a line of v1's devices.allow (cgroup-v1/devices.rst): "c 10:229 rwm",
// "b 8:* r", or "a" for all devices.
func parseDeviceRule(line string) (specs.LinuxDeviceCgroup, error) {
	rule := specs.LinuxDeviceCgroup{Allow: true}
	if line == "a" || line == "a *:* rwm" {
		rule.Type, rule.Access = "a", "rwm"
		return rule, nil
	}
	malformed := errors.New("want c or b, MAJOR:MINOR, and r, w or m, such as 'c 10:229 rwm'")
	fields := strings.Split(line, " ")
	if len(fields) != 3 || (fields[0] != "b" && fields[0] != "c") || len(fields[2]) > 3 || strings.Trim(fields[2], "rwm") != "" {
		return rule, malformed
	}
	major, minor, _ := strings.Cut(fields[1], ":")
	var ok1, ok2 bool
	rule.Type, rule.Access = fields[0], fields[2]
	rule.Major, ok1 = parseDeviceNumber(major)
	rule.Minor, ok2 = parseDeviceNumber(minor)
	if !ok1 || !ok2 {
		return rule, malformed
	}
	return rule, nil
}

// parseDeviceNumber parses a number, or * for all, which is nil in a document.
func parseDeviceNumber(word string) (n *int64, ok bool) {
	if word == "*" {
		return nil, true
	}
	value, err := strconv.ParseInt(word, 10, 32)
	return &value, err == nil && value >= 0
}
