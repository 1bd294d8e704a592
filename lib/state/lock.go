package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
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

// LockReading is [Dir.LockShared] for who only looks: several do at once, and none while somebody changes. It makes no
// file: where there is none, nobody has changed anything since the machine started.
func (d Dir) LockReading(name string) (unlock func(), err error) {
	f, err := os.Open(filepath.Join(d.Run, "locks", name))
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	for err = syscall.EINTR; err == syscall.EINTR; {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

func lockFile(path string) (func(), error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
		switch err {
		case nil:
		case syscall.EINTR:
			continue
		case syscall.ENOENT: // nobody has made the directory yet, or its holder has just removed it
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return nil, err
			}
			continue
		default:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		for err = syscall.EINTR; err == syscall.EINTR; {
			err = syscall.Flock(fd, syscall.LOCK_EX)
		}
		if err != nil {
			syscall.Close(fd)
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// Its holder may have removed the file meanwhile: then this lock is nobody's.
		var held, now syscall.Stat_t
		if syscall.Fstat(fd, &held) == nil && syscall.Stat(path, &now) == nil && held.Dev == now.Dev && held.Ino == now.Ino {
			return sync.OnceFunc(func() { syscall.Close(fd) }), nil
		}
		syscall.Close(fd)
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
