package state

import (
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/weikeit/mydocker/lib/linux"
)

// Attend says that this process stays with container id until it calls leave, or ends, whatever ends it: it
// locks the byte whose number is the id in a file that all share (F_OFD_SETLK, fcntl_locking(2)). So who looks for
// what was left behind passes over hundreds of containers that run by one system call each. It is no more than
// that, and may fail: whose a container is stands in its note ([Dir.Hold]).
func (d Dir) Attend(id string) (leave func()) {
	path := d.attended()
	_ = os.MkdirAll(filepath.Dir(path), 0o700) // where it cannot be made, neither can the file
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return func() {}
	}
	_ = unix.FcntlFlock(uintptr(linux.RawFD(file)), unix.F_OFD_SETLK, byteOf(id, unix.F_RDLCK))
	return func() { file.Close() }
}

// Attended returns what reports whether a process stays with a container.
func (d Dir) Attended() (attended func(id string) bool, close func()) {
	file, err := os.Open(d.attended())
	if err != nil {
		return func(string) bool { return false }, func() {}
	}
	fd := uintptr(linux.RawFD(file))
	return func(id string) bool {
		lock := byteOf(id, unix.F_WRLCK)
		return unix.FcntlFlock(fd, unix.F_OFD_GETLK, lock) == nil && lock.Type != unix.F_UNLCK
	}, func() { file.Close() }
}

func (d Dir) attended() string { return filepath.Join(d.Run, "locks", "attended") }

// byteOf describes a lock on the byte of container id: 12 hexadecimal digits are a number of 48 bits.
func byteOf(id string, kind int16) *unix.Flock_t {
	n, _ := strconv.ParseInt(id, 16, 64) // an id of ours always is one
	return &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: n, Len: 1}
}
