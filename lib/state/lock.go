package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/weikeit/mydocker/lib/interrupt"
)

// Lock takes the lock of container id (flock(2)) and returns what gives it back. It is held while
// the container's state changes, never while a process is waited for. The kernel gives it back when
// its holder dies. A wait for a lock of this package ends when this process is told to end (package interrupt).
func (d Dir) Lock(id string) (unlock func(), err error) {
	path := filepath.Join(d.Runtime(id), "lock")
	return lockFile(path, func() error { return os.MkdirAll(filepath.Dir(path), 0o700) })
}

// LockChanging is [Dir.Lock] for changing the records of a container whose monitor lives: nothing else would tell that
// one was being written when its writer was killed.
func (d Dir) LockChanging(id string) (unlock func(), err error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	left := false
	done, err := d.LockAndSettle(id, func() error { left = true; return nil })
	if err != nil {
		return nil, err
	}
	free, err := d.Lock(id)
	if err != nil {
		done()
		return nil, err
	}
	if left {
		d.DropTemps(id)
	}
	return func() { free(); done() }, nil
}

// Two kinds of locks lie in the directory locks. What all containers share has a file for as long as the machine runs,
// made together with the directory; a lock on one thing of many, such as a volume, has a file while it is held. So a
// file of the second kind that no process has locked says what its holder was at when it was killed ([Dir.OrphanedLocks]).

// The locks that all containers share.
const (
	NetworkLock  = "network"  // the list of networks, leases, claims on ports, bridges
	HostsLock    = "hosts"    // who is in which network, and the hosts files
	FirewallLock = "firewall" // our rules
	ImagesLock   = "images"   // the index of the images, and every removal
)

const (
	monitorsFile = "monitors" // bytes that monitors lock ([Dir.LockMonitorByte])

	// What was done since the machine started ([Dir.FirstSweep]).
	MarkSwept   = "swept"   // all containers were looked at
	MarkSettled = "settled" // and all else that survives a reboot
)

// lasting are made with the directory, and marks not before what they say is done.
var (
	lasting = []string{NetworkLock, HostsLock, FirewallLock, ImagesLock, monitorsFile}
	marks   = []string{MarkSwept, MarkSettled}
)

func (d Dir) locks() string { return filepath.Join(d.Run, "locks") }

// LockPath is where the file of a lock lies.
func (d Dir) LockPath(name string) string { return filepath.Join(d.locks(), name) }

// makeLocks makes the directory of the locks, with the files that last.
func (d Dir) makeLocks() error {
	if err := os.MkdirAll(d.locks(), 0o700); err != nil {
		return err
	}
	for _, name := range lasting {
		f, err := os.OpenFile(d.LockPath(name), os.O_CREATE|os.O_RDONLY, 0o600)
		if err != nil {
			return err
		}
		f.Close()
	}
	return nil
}

// LockShared takes a lock that all containers share.
func (d Dir) LockShared(name string) (unlock func(), err error) {
	return lockFile(d.LockPath(name), d.makeLocks)
}

// LockHost takes a lock that all sets of state on this host share, whatever directories they have: they have its links and
// addresses in common. The file is outside of their directories, as that of iptables is.
func LockHost(name string) (unlock func(), err error) {
	path := hostLockPath(name)
	release, err := lockFile(path, func() error { return os.MkdirAll(filepath.Dir(path), 0o755) })
	if err != nil {
		return nil, err
	}
	return func() {
		os.Remove(path) // while it is held: a waiter looks again
		release()
	}, nil
}

// BridgesLock is held while bridges are made, whatever state directory they are of.
const BridgesLock = "bridges"

// DropHostLock removes the file of a lock of the host whose holder was killed.
func DropHostLock(name string) {
	if _, err := os.Stat(hostLockPath(name)); err != nil {
		return
	}
	if release, err := LockHost(name); err == nil {
		release()
	}
}

func hostLockPath(name string) string { return "/run/mydocker-" + name + ".lock" }

// LockForReading is [Dir.LockShared] for who only looks: several do at once, and none while somebody changes. It makes no
// file: where there is none, nobody has changed anything since the machine started.
func (d Dir) LockForReading(name string) (unlock func(), err error) {
	f, err := os.Open(d.LockPath(name))
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

// errInterrupted ends a wait for a lock when this process is told to end.
type errInterrupted struct{}

func (errInterrupted) Error() string { return "interrupted: another process has it" }

func (errInterrupted) Is(target error) bool { return target == context.Canceled }

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
			return errInterrupted{}
		}
	}
	if err != nil {
		closeFile()
	}
	return err
}

// lockFile takes the lock on a file, which is made if it is missing, by makeDir also its directory.
func lockFile(path string, makeDir func() error) (func(), error) {
	unlock, _, err := lockFileWith(path, syscall.O_CREAT, makeDir)
	return unlock, err
}

// lockFileWith is lockFile with a flag of open(2): with O_EXCL as well it tells whether the file was there before, and is
// not gone with who had it locked.
func lockFileWith(path string, create int, makeDir func() error) (unlock func(), left bool, err error) {
	for flags := create; ; {
		fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC|flags, 0o600)
		switch err {
		case nil:
		case syscall.EINTR:
			continue
		case syscall.EEXIST:
			flags = 0
			continue
		case syscall.ENOENT: // nobody has made the directory yet, or its holder has just removed it
			if flags == 0 {
				flags = create
				continue
			}
			if err := makeDir(); err != nil {
				return nil, false, err
			}
			continue
		default:
			return nil, false, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		if err := flock(fd, syscall.LOCK_EX, func() { syscall.Close(fd) }); err != nil {
			return nil, false, fmt.Errorf("lock %s: %w", path, err)
		}
		// Its holder may have removed the file meanwhile: then this lock is nobody's.
		var held, now syscall.Stat_t
		if syscall.Fstat(fd, &held) == nil && syscall.Stat(path, &now) == nil && held.Dev == now.Dev && held.Ino == now.Ino {
			return sync.OnceFunc(func() { syscall.Close(fd) }), flags == 0, nil
		}
		syscall.Close(fd)
		flags = create
	}
}

// LockObject is [Dir.LockShared] for names that come and go, such as that of a layer being fetched:
// the file of the lock goes with its holder.
func (d Dir) LockObject(name string) (func(), error) {
	return d.LockAndSettle(name, func() error { return nil })
}

// LockAndSettle is [Dir.LockObject] that takes back first what the last holder left, where that was killed.
func (d Dir) LockAndSettle(name string, settle func() error) (func(), error) {
	path := d.LockPath(name)
	unlock, left, err := lockFileWith(path, syscall.O_CREAT|syscall.O_EXCL, d.makeLocks)
	if err != nil {
		return nil, err
	}
	if left {
		if err := settle(); err != nil {
			unlock() // the file tells it to the next one
			return nil, err
		}
	}
	return func() {
		os.Remove(path) // while it is held: who waits for it looks again
		unlock()
	}, nil
}

// LockWithData is [Dir.LockObject] for what cannot be found by the lock's name: the file holds a note for
// [Dir.LockOrphaned].
func (d Dir) LockWithData(name, note string) (unlock func(), err error) {
	if unlock, err = d.LockObject(name); err != nil {
		return nil, err
	}
	if err = os.WriteFile(d.LockPath(name), []byte(note), 0o600); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// LockOrphaned takes a lock whose holder was killed, and returns its note.
func (d Dir) LockOrphaned(name string) (note string, unlock func(), err error) {
	if unlock, err = d.LockObject(name); err != nil {
		return "", nil, err
	}
	data, err := os.ReadFile(d.LockPath(name))
	if err != nil {
		unlock()
		return "", nil, err
	}
	return string(data), unlock, nil
}

// DropLock removes the file of a lock whose holder was killed.
func (d Dir) DropLock(name string) error {
	unlock, err := d.LockObject(name)
	if err == nil {
		unlock()
	}
	return err
}

// OrphanedLocks returns the names of the locks whose holders were killed. Whoever takes back what such a holder left does
// so with that lock ([Dir.LockAndSettle]), whose file goes thereby. One that is just being taken may be among them: its
// startLockHolder has done nothing yet.
func (d Dir) OrphanedLocks() ([]string, error) {
	entries, err := list(d.locks())
	var left []string
	for _, e := range entries {
		if !slices.Contains(lasting, e.Name()) && !slices.Contains(marks, e.Name()) && !locked(d.LockPath(e.Name())) {
			left = append(left, e.Name())
		}
	}
	return left, err
}

// locked reports whether a process has a lock, or the file went with it.
func locked(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return true
	}
	defer f.Close()
	// Shared, so that two that look at once do not take each other for the holder.
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// FirstSweep reports whether what a mark says was not done since the machine started, and returns what notes that it was.
func (d Dir) FirstSweep(mark string) (first bool, done func()) {
	path := d.LockPath(mark) // goes with the reboot
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, func() {}
	}
	return true, func() {
		if d.makeLocks() == nil {
			_ = os.WriteFile(path, nil, 0o600) // else the next one does it again
		}
	}
}
