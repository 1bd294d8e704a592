package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/weikeit/mydocker/lib/linux"
)

// LockMonitorByte says that this process stays with container id until it closes the file, or ends, whatever ends it: it
// locks the byte whose number is the id in a file that all share. So a search for orphans passes over hundreds of
// containers that run by one system call each. And the kernel shows the lock to every process that has the file, in
// whatever namespaces, where pids mean nothing ([Dir.Look]). A monitor that executes its program anew hands the file on.
// Where it fails the file is nil, and the note alone tells whose the container is ([Dir.Acquire]).
func (d Dir) LockMonitorByte(id string) *os.File {
	file, err := os.OpenFile(d.monitorsPath(), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		_ = d.makeLocks() // where they cannot be made, neither can the file
		file, err = os.OpenFile(d.monitorsPath(), os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil
	}
	_ = linux.LockByte(file, byteOf(id))
	return file
}

// MonitorBytes returns what reports whether a process stays with a container.
func (d Dir) MonitorBytes() (monitored func(id string) bool, close func()) {
	file := sync.OnceValue(func() *os.File { // most have a note that tells
		file, _ := os.Open(d.monitorsPath()) // none, nobody
		return file
	})
	asked := false
	return func(id string) bool {
			asked = true
			return file() != nil && linux.ByteLocked(file(), byteOf(id))
		}, func() {
			if asked {
				file().Close()
			}
		}
}

func (d Dir) monitorsPath() string { return filepath.Join(d.locks(), monitorsFile) }

// byteOf is the number of container id's byte: 12 hexadecimal digits are 48 bits.
func byteOf(id string) int64 {
	n, _ := strconv.ParseInt(id, 16, 64) // an id of ours always is one
	return n
}
