package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/weikeit/mydocker/lib/interrupt"
)

// Lock takes the lock of container id (flock(2)) and returns what gives it back. It is held while
// the container's state changes, never while a process is waited for. The kernel gives it back when
// its holder dies. A wait for a lock of this package ends when this process is told to end (package interrupt).
func (d Dir) Lock(id string) (unlock func(), err error) {
	return lockFile(filepath.Join(d.Runtime(id), "lock"))
}

// LockShared takes a lock that all containers share, such as that of the network's addresses.
func (d Dir) LockShared(name string) (unlock func(), err error) {
	return lockFile(filepath.Join(d.Run, "locks", name))
}

// LockHost takes a lock that all sets of state on this host share, whatever directories they have: they have its links and
// addresses in common. The file is outside of their directories, as that of iptables is.
func LockHost(name string) (unlock func(), err error) {
	return lockFile("/run/mydocker-" + name + ".lock")
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
	fd := int(f.Fd())
	if err := flock(fd, syscall.LOCK_SH, func() { f.Close() }); err != nil {
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// errHeld ends a wait for a lock when this process is told to end.
type errHeld struct{}

func (errHeld) Error() string { return "interrupted: another process has it" }

func (errHeld) Is(target error) bool { return target == context.Canceled }

// flock locks an open file. Where another process has the lock, the wait ends when this one is told to end: flock(2)
// itself cannot be told, so it goes on alone. The file is closed where it fails.
func flock(fd, how int, closeFile func()) error {
	lock := func(how int) (err error) {
		for err = syscall.EINTR; err == syscall.EINTR; {
			err = syscall.Flock(fd, how)
		}
		return err
	}
	err := lock(how | syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		end, done := interrupt.WaitEnd(), make(chan error, 1)
		go func() { done <- lock(how) }()
		select {
		case err = <-done:
		case <-end:
			go func() {
				<-done
				closeFile()
			}()
			return errHeld{}
		}
	}
	if err != nil {
		closeFile()
	}
	return err
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
		if err := flock(fd, syscall.LOCK_EX, func() { syscall.Close(fd) }); err != nil {
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
