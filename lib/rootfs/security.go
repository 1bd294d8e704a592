package rootfs

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/seccomp"
	"github.com/weikeit/mydocker/lib/spec"
)

// Security has the options that change the default security posture (spec.New).
type Security struct {
	CapAdd      []string `sep:"none" help:"Add a capability, e.g. --cap-add NET_ADMIN, or ALL"`
	CapDrop     []string `sep:"none" help:"Drop a capability, or ALL"`
	Privileged  bool     `help:"Give the container all capabilities and devices of the host, and no seccomp filter"`
	SecurityOpt []string `sep:"none" help:"seccomp=FILE, seccomp=unconfined, no-new-privileges, apparmor=PROFILE or systempaths=unconfined"`
	Device      []string `sep:"none" help:"Give the container a device of the host: /dev/x[:/dev/y][:rwm]"`
	Sysctl      []string `sep:"none" help:"Set a kernel parameter of the container's namespaces, e.g. --sysctl net.core.somaxconn=1000"`
	GroupAdd    []string `sep:"none" help:"Add a group, by name or number, to those of the program"`
	Userns      string   `help:"User namespace and its id map: auto, host (none), or UID:GID:SIZE (default: host)"`
}

// posture has the parsed security options.
type posture struct {
	privileged  bool
	add, drop   capabilities
	seccomp     string // "unconfined", a file, or "" for docker's profile
	noNewPrivs  bool
	apparmor    string // profile name; "" for none
	systemPaths bool   // no masked and read-only paths
	devices     []device
	sysctls     map[string]string
	groups      []string
	idMap       idMapOption
}

// capabilities is a set of capabilities by name, or all.
type capabilities struct {
	all   bool
	names []string // CAP_CHOWN
}

func parseSecurity(o Security) (posture, error) {
	p := posture{privileged: o.Privileged, systemPaths: o.Privileged, groups: o.GroupAdd}
	if o.Privileged {
		p.seccomp = unconfined
	}
	var err error
	if p.add, err = parseCapabilities(o.CapAdd); err != nil {
		return p, fmt.Errorf("--cap-add: %w", err)
	}
	held := linux.HeldCapabilities().Names()
	for _, name := range p.add.names {
		if !slices.Contains(held, name) {
			return p, fmt.Errorf("--cap-add %s: this process does not have it", name)
		}
	}
	if p.drop, err = parseCapabilities(o.CapDrop); err != nil {
		return p, fmt.Errorf("--cap-drop: %w", err)
	}
	for _, word := range o.SecurityOpt {
		if err := p.parseOption(word); err != nil {
			return p, fmt.Errorf("--security-opt %.200q: %w", word, err)
		}
	}
	if p.seccomp != unconfined && p.seccomp != "" {
		// Only a check: apply reads the profile again, when the capabilities are known.
		if _, err := seccomp.LoadFile(p.seccomp, nil); err != nil {
			return p, err
		}
	}
	for _, word := range o.Device {
		found, err := parseDevice(word)
		if err != nil {
			return p, fmt.Errorf("--device %.200q: %w", word, err)
		}
		p.devices = append(p.devices, found...)
	}
	if o.Privileged {
		all, err := hostDevices("/dev", "/dev", "rwm")
		if err != nil {
			return p, err
		}
		p.devices = append(all, p.devices...)
	}
	if p.sysctls, err = parseSysctls(o.Sysctl); err != nil {
		return p, err
	}
	if p.idMap, err = parseUserns(o.Userns); err != nil {
		return p, err
	}
	return p, p.checkIDMap()
}

// parseCapabilities parses names with or without CAP_, in upper or lower case.
func parseCapabilities(words []string) (capabilities, error) {
	var c capabilities
	for _, word := range words {
		name := strings.ToUpper(word)
		if name == "ALL" || name == "CAP_ALL" {
			c.all = true
			continue
		}
		if !strings.HasPrefix(name, "CAP_") {
			name = "CAP_" + name
		}
		if _, err := linux.ParseCapabilities([]string{name}); err != nil {
			return c, fmt.Errorf("%.40q: no such capability", word)
		}
		c.names = append(c.names, name)
	}
	return c, nil
}

const unconfined = "unconfined"

// parseOption parses one word of --security-opt: KEY=VALUE, or docker's older KEY:VALUE.
func (p *posture) parseOption(word string) error {
	key, value, given := strings.Cut(word, "=")
	if !given {
		key, value, given = strings.Cut(word, ":")
	}
	switch key {
	case "no-new-privileges":
		if given && value != "true" && value != "false" {
			return errors.New("want true or false")
		}
		p.noNewPrivs = value != "false"
	case "seccomp":
		switch value {
		case "":
			return errors.New("want a file, builtin or unconfined")
		case "builtin":
			p.seccomp = ""
		default:
			p.seccomp = value
		}
	case "systempaths":
		if value != unconfined {
			return errors.New("want systempaths=unconfined")
		}
		p.systemPaths = true
	case "apparmor":
		if value == "" {
			return errors.New("want a profile, or unconfined")
		}
		if p.apparmor = value; value == unconfined {
			p.apparmor = ""
		}
	case "label":
		// Containers have no SELinux labels, so only label=disable can be honored.
		if value != "disable" {
			return errors.New("SELinux labels are not supported")
		}
	default:
		return errors.New("want seccomp=FILE, seccomp=unconfined, no-new-privileges, apparmor=PROFILE or systempaths=unconfined")
	}
	return nil
}

// apply writes the posture into the document, except devices and groups. It must run before fillProcess, which drops
// capabilities of a non-root user.
func (p *posture) apply(s *spec.Spec) error {
	caps := p.changeCapabilities(s)
	l := s.LinuxPart()
	var err error
	switch {
	case p.seccomp == unconfined:
		l.Seccomp = nil
	case p.seccomp != "":
		if l.Seccomp, err = seccomp.LoadFile(p.seccomp, caps.after); err != nil {
			return err
		}
	case reflect.DeepEqual(l.Seccomp, seccomp.Default(caps.before)):
		l.Seccomp = seccomp.Default(caps.after) // depends on capabilities; a custom profile stays
	}
	if p.noNewPrivs {
		s.ProcessPart().NoNewPrivileges = true
	}
	if p.apparmor != "" {
		s.ProcessPart().ApparmorProfile = p.apparmor
	}
	if p.systemPaths {
		l.MaskedPaths, l.ReadonlyPaths = nil, nil
	}
	if p.privileged {
		makeWritable(s)
	}
	for key, value := range p.sysctls {
		if l.Sysctl == nil {
			l.Sysctl = make(map[string]string)
		}
		l.Sysctl[key] = value
	}
	return nil
}

// makeWritable removes the ro option from sysfs and cgroup mounts.
func makeWritable(s *spec.Spec) {
	for i, m := range s.Mounts {
		if m.Type == "sysfs" || m.Type == "cgroup" || m.Type == "cgroup2" {
			s.Mounts[i].Options = slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return o == "ro" })
		}
	}
}

type change struct{ before, after []string }

// changeCapabilities sets the capabilities of the process as docker does: all but the dropped ones (--cap-add ALL), only
// the added ones (--cap-drop ALL), or those of the document with changes.
func (p *posture) changeCapabilities(s *spec.Spec) change {
	proc := s.ProcessPart()
	var c change
	if proc.Capabilities != nil {
		c.before = proc.Capabilities.Bounding
	}
	held := linux.HeldCapabilities().Names()
	dropped := func(name string) bool { return p.drop.all || slices.Contains(p.drop.names, name) }
	switch {
	case p.privileged:
		c.after = held
	case p.add.all:
		c.after = slices.DeleteFunc(held, func(name string) bool { return slices.Contains(p.drop.names, name) })
	case len(p.add.names) == 0 && len(p.drop.names) == 0 && !p.drop.all:
		c.after = c.before
		return c
	default:
		c.after = slices.DeleteFunc(slices.Clone(c.before), dropped)
		for _, name := range p.add.names {
			if !slices.Contains(c.after, name) {
				c.after = append(c.after, name)
			}
		}
	}
	proc.Capabilities = &specs.LinuxCapabilities{Bounding: c.after, Effective: c.after, Permitted: c.after}
	return c
}

// parseSysctls parses KEY=VALUE and refuses sysctls that are not namespaced, as the start would.
func parseSysctls(words []string) (map[string]string, error) {
	sysctls := make(map[string]string, len(words))
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--sysctl %.80q: want KEY=VALUE", word)
		}
		if _, err := spec.SysctlNamespace(key); err != nil {
			return nil, fmt.Errorf("--sysctl %w", err)
		}
		sysctls[key] = value
	}
	return sysctls, nil
}
