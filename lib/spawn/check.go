package spawn

import (
	"fmt"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// Check refuses a document that cannot be run as it says. The error names what is not supported: nothing is ignored.
func Check(s *spec.Spec) error {
	if s.Root == nil || s.Root.Path == "" {
		return fmt.Errorf("the document has no root.path: md-rootfs mount adds one")
	}
	if err := checkProcess(s.Process); err != nil {
		return err
	}
	l := s.LinuxPart()
	for _, ns := range l.Namespaces {
		if _, ok := namespaceFlags()[ns.Type]; !ok && ns.Type != specs.UserNamespace {
			return fmt.Errorf("linux.namespaces: type %.40q is not supported", ns.Type)
		}
	}
	if len(l.TimeOffsets) > 0 && !hasNamespace(l, specs.TimeNamespace) {
		return fmt.Errorf("linux.timeOffsets: want a time namespace in linux.namespaces")
	}
	if err := checkSysctls(l); err != nil {
		return err
	}
	if err := checkDevices(l); err != nil {
		return err
	}
	return checkUnsupported(s)
}

// checkProcess refuses a process that cannot be run.
func checkProcess(p *specs.Process) error {
	if p == nil || len(p.Args) == 0 || p.Args[0] == "" {
		return fmt.Errorf("no command: neither the image nor the command line names a program")
	}
	if p.Cwd != "" && !filepath.IsAbs(p.Cwd) {
		return fmt.Errorf("process.cwd %.80q: not an absolute path", p.Cwd)
	}
	if err := checkProcessIDs(p); err != nil {
		return err
	}
	if p.ApparmorProfile != "" && !linux.AppArmor() {
		return fmt.Errorf("process.apparmorProfile %.80q: this kernel has no AppArmor", p.ApparmorProfile)
	}
	return nil
}

// checkProcessIDs refuses the id -1: to the kernel it means "no change", and the program would stay root.
func checkProcessIDs(p *specs.Process) error {
	check := func(what string, id uint32) error {
		if id == linux.NoID {
			return fmt.Errorf("process.user.%s %d: want a number from 0 to %d", what, id, linux.NoID-1)
		}
		return nil
	}
	if err := check("uid", p.User.UID); err != nil {
		return err
	}
	if err := check("gid", p.User.GID); err != nil {
		return err
	}
	for _, gid := range p.User.AdditionalGids {
		if err := check("additionalGids", gid); err != nil {
			return err
		}
	}
	return nil
}

// checkDevices refuses -1 as the owner of a device.
func checkDevices(l *specs.Linux) error {
	for _, d := range l.Devices {
		if d.UID != nil && *d.UID == linux.NoID || d.GID != nil && *d.GID == linux.NoID {
			return fmt.Errorf("linux.devices: %s: uid and gid want a number from 0 to %d", d.Path, linux.NoID-1)
		}
	}
	return nil
}

func hasNamespace(l *specs.Linux, kind specs.LinuxNamespaceType) bool {
	for _, ns := range l.Namespaces {
		if ns.Type == kind {
			return true
		}
	}
	return false
}

// checkUnsupported refuses the parts of the specification that are not supported.
func checkUnsupported(s *spec.Spec) error {
	p, l := s.Process, s.Linux
	for _, part := range []struct {
		name string
		used bool
	}{
		{"linux.intelRdt", l.IntelRdt != nil},
		{"linux.mountLabel", l.MountLabel != ""},
		{"linux.netDevices", len(l.NetDevices) > 0},
		{"process.selinuxLabel", p.SelinuxLabel != ""},
		{"process.execCPUAffinity", p.ExecCPUAffinity != nil},
		{"vm", s.VM != nil}, {"windows", s.Windows != nil}, {"solaris", s.Solaris != nil}, {"zos", s.ZOS != nil},
	} {
		if part.used {
			return fmt.Errorf("%s is not supported: remove it from the document, or use another OCI runtime", part.name)
		}
	}
	return checkUsers(s)
}

// checkSysctls refuses a setting whose namespace the container does not have: it would be the host's.
func checkSysctls(l *specs.Linux) error {
	for key := range l.Sysctl {
		kind, err := spec.SysctlNamespace(key)
		if err != nil {
			return fmt.Errorf("linux.sysctl: %w", err)
		}
		if !hasNamespace(l, kind) {
			return fmt.Errorf("linux.sysctl: %s: the container has no new %s namespace", key, kind)
		}
	}
	return nil
}

// checkUsers refuses a user namespace without maps, and maps without a user namespace.
func checkUsers(s *spec.Spec) error {
	l := s.Linux
	ns, ok := s.Namespace(specs.UserNamespace)
	mapped := len(l.UIDMappings) > 0 || len(l.GIDMappings) > 0
	switch {
	case mapped && !ok:
		return fmt.Errorf("linux.uidMappings: the container has no user namespace")
	case ok && ns.Path == "" && (len(l.UIDMappings) == 0 || len(l.GIDMappings) == 0):
		return fmt.Errorf("linux.uidMappings, linux.gidMappings: a new user namespace needs both")
	case ok && ns.Path != "" && mapped:
		return fmt.Errorf("linux.uidMappings: the user namespace %s has its maps already", ns.Path)
	}
	if err := checkMaps("linux.", l.UIDMappings, l.GIDMappings); err != nil {
		return err
	}
	for _, m := range s.Mounts {
		if err := checkMaps("mounts: "+m.Destination+": ", m.UIDMappings, m.GIDMappings); err != nil {
			return err
		}
		if (len(m.UIDMappings) > 0) != (len(m.GIDMappings) > 0) {
			return fmt.Errorf("mounts: %s: uidMappings and gidMappings: want both", m.Destination)
		}
		if len(m.UIDMappings) > 0 && m.Type != "bind" && !slices.Contains(m.Options, "bind") && !slices.Contains(m.Options, "rbind") {
			return fmt.Errorf("mounts: %s: uidMappings: only bind mounts can have them", m.Destination)
		}
	}
	return nil
}
