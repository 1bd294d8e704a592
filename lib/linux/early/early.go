// Package early reads the limit on open files before Go changes it. Package syscall raises it at the start, and
// restores it only for the programs that it starts itself. Go initializes packages in the order of their paths if
// nothing else decides (Go specification, "Program initialization", and the linker's inittask.go); this package imports
// nothing, and so comes first.
package early

import _ "unsafe" // for go:linkname

// Limit is a resource limit.
type Limit struct{ Soft, Hard uint64 }

const resourceOpenFiles = 7 // RLIMIT_NOFILE on amd64, arm64 and most others

var openFiles = read() //nolint:gochecknoglobals // constant after the start

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
