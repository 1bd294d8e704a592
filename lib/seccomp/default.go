package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// rule is a rule in docker's profile format: it applies only under conditions.
type rule struct {
	specs.LinuxSyscall
	Includes, Excludes condition
}

// condition holds for a container with all these capabilities in its bounding set, on one of these architectures (in
// Go's names, except x86 for i386), and on this kernel version or a later one: "4.8".
type condition struct {
	Caps      []string `json:"caps"`
	Arches    []string `json:"arches"`
	MinKernel string   `json:"minKernel"`
}

// Error numbers that the profiles point to: read only.
var (
	eperm  uint = 1
	enosys uint = 38
)

// Default returns docker's profile for a container with these capabilities in its bounding set; nil on an unknown
// machine. Its slices are shared and must not be written to.
func Default(caps []string) *specs.LinuxSeccomp {
	m := native()
	if m == nowhere {
		return nil
	}
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &eperm, Architectures: architectures(m)}
	s.Syscalls = make([]specs.LinuxSyscall, 0, len(published))
	for i := range published {
		// The profile's minimum kernel, 4.8, is older than any that is supported.
		if r := &published[i]; r.holds(caps, m, func(string) bool { return true }) {
			s.Syscalls = append(s.Syscalls, r.LinuxSyscall)
		}
	}
	return s
}

// architectures lists the machine and those whose programs it also runs.
func architectures(m machine) []specs.Arch {
	if m == arm64 {
		return []specs.Arch{specs.ArchAARCH64, specs.ArchARM}
	}
	return []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
}

// holds reports whether the rule applies: no capability or architecture excludes it, and all that it requires are
// there.
func (r *rule) holds(caps []string, m machine, newer func(kernel string) bool) bool {
	name := map[machine]string{x86x64: "amd64", arm64: "arm64"}[m]
	has := func(c string) bool { return slices.Contains(caps, c) }
	in, out := &r.Includes, &r.Excludes
	switch {
	case slices.Contains(out.Arches, name), slices.ContainsFunc(out.Caps, has), out.MinKernel != "" && newer(out.MinKernel):
		return false
	case len(in.Arches) > 0 && !slices.Contains(in.Arches, name), in.MinKernel != "" && !newer(in.MinKernel):
		return false
	}
	return !slices.ContainsFunc(in.Caps, func(c string) bool { return !has(c) })
}
