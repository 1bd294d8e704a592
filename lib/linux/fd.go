package linux

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OPath opens a path without opening the file itself (open(2), O_PATH).
const OPath = unix.O_PATH

// FDOf returns the descriptor of a file, -1 for nil.
func FDOf(file *os.File) int {
	if file == nil {
		return -1
	}
	return int(file.Fd())
}

// RawFD returns the descriptor of a file. Unlike Fd of package os, it does not make a pipe blocking.
func RawFD(file *os.File) int {
	fd := -1
	if conn, err := file.SyscallConn(); err == nil {
		_ = conn.Control(func(n uintptr) { fd = int(n) }) // on a closed file fd stays -1
	}
	return fd
}

// FDPath is a path of an open file, for system calls that take only paths.
func FDPath(file *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(file.Fd())) }

// CloseOnExecFrom sets close-on-exec on every descriptor from first on.
func CloseOnExecFrom(first int) error {
	return wrap("mark descriptors close-on-exec", unix.CloseRange(uint(first), ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC))
}

// NullStderr replaces standard error by the null device.
func NullStderr() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return wrap("replace standard error by the null device", unix.Dup3(int(null.Fd()), 2, 0))
}
