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

// NewNetNS makes a network namespace, binds it at path so that it lives without a process, and runs f in it
// (network_namespaces(7)). On an error, nothing stays at path.
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

// InNetNS runs f in the network namespace at path, a bind mount or /proc/PID/ns/net.
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

// RemoveNetNS removes the bind mount of a network namespace. The kernel removes the namespace after its last process.
// It is idempotent.
func RemoveNetNS(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	Trace("umount", "-l", path)
	// EINVAL: not mounted, as after a start that failed halfway.
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

// CheckNetNS returns an error if path is not a network namespace. It wraps fs.ErrNotExist if path does not exist.
func CheckNetNS(path string) error {
	// Non-blocking, because path may name a FIFO.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil || st.Type != unix.NSFS_MAGIC {
		return fmt.Errorf("%s is not a network namespace", path)
	}
	// Only on nsfs: on another file the same number may be another command.
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		return fmt.Errorf("%s is not a network namespace", path)
	}
	return nil
}

// onOwnThread runs f on a thread that ends with it, so that no other goroutine runs in the namespaces that f has
// entered.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with this goroutine
		if unix.Gettid() == unix.Getpid() {
			// The main thread cannot end, and /proc/self would keep showing its namespaces. While it is locked here,
			// the next goroutine gets another thread.
			err := onOwnThread(f)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}
