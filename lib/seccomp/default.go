package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// rule is one of docker's format of profiles: it is there only under conditions.
type rule struct {
	specs.LinuxSyscall
	Includes, Excludes condition
}

// condition is met by a container with all these capabilities in its bounding set, on one of these architectures
// (as Go calls them, but for i386, which is x86) and a kernel at least as new: "4.8".
type condition struct {
	Caps      []string `json:"caps"`
	Arches    []string `json:"arches"`
	MinKernel string   `json:"minKernel"`
}

// What errors of the profiles point to: read only.
var (
	eperm  uint = 1
	enosys uint = 38
)

// Default returns docker's profile for a container with these capabilities in its bounding set, nil where
// this machine is not known. Its slices are shared and must not be written to.
func Default(caps []string) *specs.LinuxSeccomp {
	m := native()
	if m == nowhere {
		return nil
	}
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &eperm, Architectures: architectures(m)}
	s.Syscalls = make([]specs.LinuxSyscall, 0, len(published))
	for i := range published {
		// The kernel that the profile asks for, 4.8, is older than any that we run on.
		if r := &published[i]; r.holds(caps, m, func(string) bool { return true }) {
			s.Syscalls = append(s.Syscalls, r.LinuxSyscall)
		}
	}
	return s
}

// architectures are the machine and those whose programs it runs, too.
func architectures(m machine) []specs.Arch {
	if m == arm64 {
		return []specs.Arch{specs.ArchAARCH64, specs.ArchARM}
	}
	return []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
}

// holds reports whether the rule is for such a container. It is out when any capability or architecture excludes it, and in
// when it has all the capabilities that it wants.
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
