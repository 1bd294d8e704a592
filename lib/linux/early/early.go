// Package early looks at the process before Go changes it: package syscall raises the limit on open files when
// it starts, and gives the caller's own limit back only to programs that it starts itself. Packages start in the
// order of their paths where nothing else decides (Go specification, "Program initialization", and the linker's
// inittask.go): so this one imports nothing, and is first.
package early

import _ "unsafe" // for go:linkname

// Limit is a resource limit.
type Limit struct{ Soft, Hard uint64 }

const resourceOpenFiles = 7 // RLIMIT_NOFILE on amd64, arm64 and most others

var openFiles = read() //nolint:gochecknoglobals // what was is a fact

//go:linkname prlimit syscall.prlimit
func prlimit(pid int, resource int, newLimit, oldLimit *Limit) error

func read() (l Limit) {
	if prlimit(0, resourceOpenFiles, nil, &l) != nil {
		return Limit{}
	}
	return l
}

// OpenFiles returns the limit on open files that this process was started with.
func OpenFiles() Limit { return openFiles }
