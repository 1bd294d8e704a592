package linux

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// LockByte takes a shared lock (F_RDLCK) on byte n of a file, which need not exist. The lock belongs to the open file
// description, not to the process, and ends when that is closed (F_OFD_SETLK, fcntl_locking(2)).
func LockByte(file *os.File, n int64) error {
	return unix.FcntlFlock(uintptr(RawFD(file)), unix.F_OFD_SETLK, byteLock(unix.F_RDLCK, n))
}

// ByteLocked reports whether byte n of a file is locked through another open file description (F_OFD_GETLK). On an
// error it is false.
func ByteLocked(file *os.File, n int64) bool {
	lock := byteLock(unix.F_WRLCK, n) // conflicts with every other lock
	return unix.FcntlFlock(uintptr(RawFD(file)), unix.F_OFD_GETLK, lock) == nil && lock.Type != unix.F_UNLCK
}

func byteLock(kind int16, n int64) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: n, Len: 1}
}
