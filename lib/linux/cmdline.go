package linux

import (
	"os"
	"strings"
	"unsafe"
)

// commandLine is the memory shown in /proc/PID/cmdline. Every process in the pid namespace can read that file, whatever
// PR_SET_DUMPABLE says. A child forked into a container must not show our arguments there: with "exec -e" they contain
// the user's secrets.
type commandLine struct {
	kernel []byte // the kernel's memory; a child gets a copy
	copied []byte // its content
}

//nolint:gochecknoglobals // one per process
var arguments = ownCommandLine()

// ownCommandLine finds the command line: the strings of os.Args still are where the kernel has put them, one after the
// other. It copies them elsewhere, because [Steps.Fork] clears this memory during the fork.
func ownCommandLine() *commandLine {
	if len(os.Args) == 0 {
		return &commandLine{}
	}
	start, size := unsafe.StringData(os.Args[0]), 0
	for i, word := range os.Args {
		if start == nil || unsafe.StringData(word) != (*byte)(unsafe.Add(unsafe.Pointer(start), size)) {
			break
		}
		size += len(word) + 1
		os.Args[i] = strings.Clone(word)
	}
	c := &commandLine{kernel: unsafe.Slice(start, size)}
	c.copied = append(c.copied, c.kernel...)
	return c
}
