package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Lock takes the lock of container id (flock(2)) and returns what gives it back. It is held while
// the container's state changes, never while a process is waited for. The kernel gives it back when
// its holder dies.
func (d Dir) Lock(id string) (unlock func(), err error) {
	return lockFile(filepath.Join(d.Runtime(id), "lock"))
}

// LockShared takes a lock that all containers share, such as that of the network's addresses.
func (d Dir) LockShared(name string) (unlock func(), err error) {
	return lockFile(filepath.Join(d.Run, "locks", name))
}

func lockFile(path string) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
		if errors.Is(err, fs.ErrNotExist) { // its holder has just removed the directory
			if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		for err = syscall.EINTR; err == syscall.EINTR; {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// Its holder may have removed the directory meanwhile: then this lock is nobody's.
		if held, err1 := f.Stat(); err1 == nil {
			if now, err2 := os.Stat(path); err2 == nil && os.SameFile(held, now) {
				return func() { f.Close() }, nil
			}
		}
		f.Close()
	}
}

// LockBriefly is [Dir.LockShared] for names that come and go, such as that of a layer being fetched:
// the file of the lock goes with its holder.
func (d Dir) LockBriefly(name string) (func(), error) {
	path := filepath.Join(d.Run, "locks", name)
	unlock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	return func() {
		os.Remove(path) // while it is held: who waits for it looks again
		unlock()
	}, nil
}
