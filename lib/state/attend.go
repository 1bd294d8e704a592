package state

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/weikeit/mydocker/lib/linux"
)

// Attend says that this process stays with container id until it calls leave, or ends, whatever ends it: it
// locks the byte whose number is the id in a file that all share. So who looks for what was left behind passes
// over hundreds of containers that run by one system call each. It is no more than that, and may fail: whose a
// container is stands in its note ([Dir.Hold]).
func (d Dir) Attend(id string) (leave func()) {
	path := d.attended()
	_ = os.MkdirAll(filepath.Dir(path), 0o700) // where it cannot be made, neither can the file
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return func() {}
	}
	_ = linux.LockByte(file, byteOf(id))
	return func() { file.Close() }
}

// Attended returns what reports whether a process stays with a container.
func (d Dir) Attended() (attended func(id string) bool, close func()) {
	file, err := os.Open(d.attended())
	if err != nil {
		return func(string) bool { return false }, func() {}
	}
	return func(id string) bool { return linux.ByteLocked(file, byteOf(id)) }, func() { file.Close() }
}

func (d Dir) attended() string { return filepath.Join(d.Run, "locks", "attended") }

// byteOf is the number of container id's byte: 12 hexadecimal digits are 48 bits.
func byteOf(id string) int64 {
	n, _ := strconv.ParseInt(id, 16, 64) // an id of ours always is one
	return n
}
