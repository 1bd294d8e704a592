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

// LockMonitorByte marks this process as the monitor of container id until it closes the file or dies. It locks the byte
// whose offset is the id, in a file shared by all containers, so that a search for orphans skips each running container
// with one system call. The kernel shows the lock in all namespaces, where pids mean nothing ([Dir.Look]). A monitor
// that executes itself again passes the file on. On failure the file is nil, and only the run file names the owner
// ([Dir.Acquire]).
func (d Dir) LockMonitorByte(id string) *os.File {
	file, err := os.OpenFile(d.monitorsPath(), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		_ = d.makeLocks() // if this fails, so does the open
		file, err = os.OpenFile(d.monitorsPath(), os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil
	}
	_ = linux.LockByte(file, byteOf(id))
	return file
}

// MonitorBytes returns a function that reports whether a monitor has locked the byte of a container.
func (d Dir) MonitorBytes() (monitored func(id string) bool, close func()) {
	file := sync.OnceValue(func() *os.File { // opened late: most run files answer alone
		file, _ := os.Open(d.monitorsPath()) // nil: no monitor was started since the reboot
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

// byteOf is the offset of container id's byte: 12 hexadecimal digits are 48 bits.
func byteOf(id string) int64 {
	n, _ := strconv.ParseInt(id, 16, 64) // cannot fail for a container id
	return n
}
