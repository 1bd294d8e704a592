package linux

import (
	"os"
	"strings"
	"unsafe"
)

// commandLine is the memory that /proc/PID/cmdline shows of a process: the words that it was started with. Everyone in
// its pid namespace can read them, whatever prctl(2) says (PR_SET_DUMPABLE guards the other files of the directory). A
// child that is born into a container must not have ours there: with "exec -e" they are the secrets of its user.
type commandLine struct {
	kernel []byte // the kernel's own, which a child gets a copy of
	copied []byte // what stands there
}

//nolint:gochecknoglobals // the process has one
var arguments = ownCommandLine()

// ownCommandLine finds the command line: the words of package os are still where the kernel has put them, one behind
// the other. They are moved away, so that nobody misses them while a child is born ([Steps.Fork]).
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
