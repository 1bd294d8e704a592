package linux

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OPath opens only the place of a file, not the file (open(2), O_PATH).
const OPath = unix.O_PATH

// FDOf returns the number of an open file; -1 where there is none.
func FDOf(file *os.File) int {
	if file == nil {
		return -1
	}
	return int(file.Fd())
}

// RawFD returns the number of an open file, and leaves it as it is: os.File's own Fd makes a pipe a blocking one.
func RawFD(file *os.File) int {
	fd := -1
	if conn, err := file.SyscallConn(); err == nil {
		_ = conn.Control(func(n uintptr) { fd = int(n) }) // closed: it has none
	}
	return fd
}

// FDPath is a path that means the open file itself, for system calls that take only paths.
func FDPath(file *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(file.Fd())) }

// CloseOnExecFrom marks every descriptor from first on, so that no program gets one by accident.
func CloseOnExecFrom(first int) error {
	return wrap("mark descriptors close-on-exec", unix.CloseRange(uint(first), ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC))
}

// NullStderr puts the null device in the place of standard error.
func NullStderr() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return wrap("put the null device in the place of standard error", unix.Dup3(int(null.Fd()), 2, 0))
}
