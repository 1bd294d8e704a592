package linux

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// LockByte takes a lock on the n-th byte of a file, which need not exist, that others may take too (F_RDLCK). It
// belongs to the open file, not to the process, and goes when that is closed (F_OFD_SETLK, fcntl_locking(2)).
func LockByte(file *os.File, n int64) error {
	return unix.FcntlFlock(uintptr(RawFD(file)), unix.F_OFD_SETLK, byteLock(unix.F_RDLCK, n))
}

// ByteLocked reports whether somebody has a lock on the n-th byte of a file through another open file; where
// that cannot be found out, nobody has. It takes none itself (F_OFD_GETLK).
func ByteLocked(file *os.File, n int64) bool {
	lock := byteLock(unix.F_WRLCK, n) // what every other lock would stand against
	return unix.FcntlFlock(uintptr(RawFD(file)), unix.F_OFD_GETLK, lock) == nil && lock.Type != unix.F_UNLCK
}

func byteLock(kind int16, n int64) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: n, Len: 1}
}
