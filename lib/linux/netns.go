package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// NewNetNS makes a network namespace, binds it at path, so that it lives without a process, and runs
// f in it (network_namespaces(7)). Where anything fails, nothing stays at path.
func NewNetNS(path string, f func() error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make network namespace %s: %w", path, err)
	}
	Trace("touch", path)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY|unix.O_CLOEXEC, 0o400)
	if err != nil {
		return fmt.Errorf("make network namespace %s: %w", path, err)
	}
	file.Close()
	err = onOwnThread(func() error {
		Trace("unshare", "--net="+path, "true")
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace %s: unshare: %w", path, err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("make network namespace %s: bind: %w", path, err)
		}
		return f()
	})
	if err != nil {
		return errors.Join(err, RemoveNetNS(path))
	}
	return nil
}

// InNetNS runs f in the network namespace at path: one bound there, or /proc/PID/ns/net.
func InNetNS(path string, f func() error) error {
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	defer ns.Close()
	return onOwnThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: setns: %w", path, err)
		}
		return f()
	})
}

// RemoveNetNS takes the binding of a network namespace away. The kernel removes the namespace when
// its last process is gone. It is idempotent.
func RemoveNetNS(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	Trace("umount", "-l", path)
	// EINVAL: nothing is mounted there, as after a start that failed half way.
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount network namespace %s: %w", path, err)
	}
	Trace("rm", path)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace: %w", err)
	}
	return nil
}

// CheckNetNS returns an error where there is no network namespace at path. It wraps fs.ErrNotExist
// where there is nothing at all.
func CheckNetNS(path string) error {
	// Not os.Open's blocking default: path may name a FIFO.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil || st.Type != unix.NSFS_MAGIC {
		return fmt.Errorf("%s is not a network namespace", path)
	}
	// A call that only namespace files know: of other files it could mean anything.
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		return fmt.Errorf("%s is not a network namespace", path)
	}
	return nil
}

// onOwnThread runs f on a thread of its own that ends with it, so that no other goroutine ever runs
// on a thread whose namespace f changed.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with this goroutine
		if unix.Gettid() == unix.Getpid() {
			// The first thread cannot die, and /proc/self would show its namespaces for ever.
			// While it is held here, the next goroutine gets another one.
			err := onOwnThread(f)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}
