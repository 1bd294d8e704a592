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

// Lock takes the lock of container id (flock(2)) and returns its release. It is held while the container's state
// changes, never while waiting for a process. The kernel releases it when its holder dies. Waits for the locks of this
// package end when this process is told to end (package interrupt).
func (d Dir) Lock(id string) (unlock func(), err error) {
	path := filepath.Join(d.Runtime(id), "lock")
	return lockFile(path, func() error { return os.MkdirAll(filepath.Dir(path), 0o700) })
}

// LockChanging is [Dir.Lock] for changing the records of a container whose monitor is alive. It takes an object lock as
// well: the file of that lock shows the next caller that a writer was killed halfway.
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

// The directory locks has two kinds of locks. A lock shared by all containers has a file that is made with the
// directory and stays until a reboot. A lock on one object, such as a volume, has a file only while it is held. An
// object lock's file that no process has locked therefore shows what its holder was doing when it was killed
// ([Dir.OrphanedLocks]).

// The locks that all containers share.
const (
	NetworkLock  = "network"  // network list, leases, host ports, bridges
	HostsLock    = "hosts"    // network members and hosts files
	FirewallLock = "firewall" // firewall rules
	ImagesLock   = "images"   // image index, and every removal of an image or layer
)

const (
	// Its bytes are locked by monitors ([Dir.LockMonitorByte]). The name is that of older releases, whose monitors may run.
	monitorsFile = "attended"

	// What was done since the machine started ([Dir.FirstSweep]).
	MarkSwept   = "swept"   // all containers were checked
	MarkSettled = "settled" // everything else that survives a reboot was checked, too
)

// lasting files are made with the directory; a mark is made when its work is done.
var (
	lasting = []string{NetworkLock, HostsLock, FirewallLock, ImagesLock, monitorsFile}
	marks   = []string{MarkSwept, MarkSettled}
)

func (d Dir) locks() string { return filepath.Join(d.Run, "locks") }

// LockPath is the file of a lock.
func (d Dir) LockPath(name string) string { return filepath.Join(d.locks(), name) }

// makeLocks makes the lock directory and its lasting files.
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

// LockHost takes a lock shared by all state directories of this host, which have its links and addresses in common.
// Like that of iptables, the file lies outside of them.
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

// BridgesLock is held while bridges are created, whichever state directory they belong to.
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

// LockForReading is [Dir.LockShared] for readers: several can hold it at once, but not beside a writer. It makes no
// file; a missing file means that nothing was changed since the machine started.
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

func (errInterrupted) Error() string { return "another process holds the lock: interrupted" }

func (errInterrupted) Is(target error) bool { return target == context.Canceled }

// flock locks an open file. If another process holds the lock, the wait ends when this process is told to end; flock(2)
// itself cannot be interrupted, so it continues in a goroutine. The file is closed on failure.
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

// lockFile locks a file and makes it if it is missing, with makeDir also its directory.
func lockFile(path string, makeDir func() error) (func(), error) {
	unlock, _, err := lockFileWith(path, syscall.O_CREAT, makeDir)
	return unlock, err
}

// lockFileWith is lockFile with flags for open(2). With O_EXCL, left reports that the file existed and that no holder
// removed it while this process waited.
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
		case syscall.ENOENT: // the directory does not exist yet, or the holder has just removed the file
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
		// If the holder removed the file during the wait, this lock is on a deleted file.
		var held, now syscall.Stat_t
		if syscall.Fstat(fd, &held) == nil && syscall.Stat(path, &now) == nil && held.Dev == now.Dev && held.Ino == now.Ino {
			return sync.OnceFunc(func() { syscall.Close(fd) }), flags == 0, nil
		}
		syscall.Close(fd)
		flags = create
	}
}

// LockObject is [Dir.LockShared] for names that come and go, such as that of a layer being fetched. Releasing the lock
// removes its file.
func (d Dir) LockObject(name string) (func(), error) {
	return d.LockAndSettle(name, func() error { return nil })
}

// LockAndSettle is [Dir.LockObject]. If the last holder was killed, settle first undoes what it left.
func (d Dir) LockAndSettle(name string, settle func() error) (func(), error) {
	path := d.LockPath(name)
	unlock, left, err := lockFileWith(path, syscall.O_CREAT|syscall.O_EXCL, d.makeLocks)
	if err != nil {
		return nil, err
	}
	if left {
		if err := settle(); err != nil {
			unlock() // its file stays for the next caller
			return nil, err
		}
	}
	return func() {
		os.Remove(path) // while it is locked: processes that wait for it open the path again
		unlock()
	}, nil
}

// LockWithData is [Dir.LockObject] with data in the lock's file, which [Dir.LockOrphaned] returns if the holder is
// killed.
func (d Dir) LockWithData(name, data string) (unlock func(), err error) {
	if unlock, err = d.LockObject(name); err != nil {
		return nil, err
	}
	if err = os.WriteFile(d.LockPath(name), []byte(data), 0o600); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// LockOrphaned takes a lock whose holder was killed and returns the data in its file.
func (d Dir) LockOrphaned(name string) (data string, unlock func(), err error) {
	if unlock, err = d.LockObject(name); err != nil {
		return "", nil, err
	}
	content, err := os.ReadFile(d.LockPath(name))
	if err != nil {
		unlock()
		return "", nil, err
	}
	return string(content), unlock, nil
}

// DropLock removes the file of a lock whose holder was killed.
func (d Dir) DropLock(name string) error {
	unlock, err := d.LockObject(name)
	if err != nil {
		return err
	}
	unlock()
	return nil
}

// OrphanedLocks returns the names of the locks whose holders were killed. The caller undoes what such a holder left
// under that lock ([Dir.LockAndSettle]), which also removes the file. A lock that is being taken at this moment may be
// in the list; its holder has done nothing yet.
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

// locked reports whether a process holds a lock, or has just removed its file.
func locked(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return true
	}
	defer f.Close()
	// A shared lock, so that two concurrent checks do not see each other as the holder.
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// FirstSweep reports whether the work of a mark was not done since the machine started, and returns a function that
// sets the mark.
func (d Dir) FirstSweep(mark string) (first bool, done func()) {
	path := d.LockPath(mark) // in Run, so a reboot removes it
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, func() {}
	}
	return true, func() {
		if d.makeLocks() == nil {
			_ = os.WriteFile(path, nil, 0o600) // on failure the next process does the work again
		}
	}
}
