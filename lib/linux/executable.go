package linux

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Executable returns the path of this program. A program executed from a detached mount (package guard) has no path of
// its own, only the one in its first argument.
func Executable() (string, error) {
	path, err := os.Executable()
	if err != nil || !filepath.IsAbs(os.Args[0]) {
		return path, err
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return os.Args[0], nil
	}
	return path, nil
}

// OpenReadOnly opens a program through a detached read-only mount of its own.
func OpenReadOnly(path string) (*os.File, error) {
	file, err := OpenTree(path, false)
	if err != nil {
		return nil, err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(int(file.Fd()), "", unix.AT_EMPTY_PATH, &attr); err != nil {
		file.Close()
		return nil, fmt.Errorf("make read-only mount of %s: %w", path, err)
	}
	return file, nil
}

// ExecSelf replaces this process by the same program with other arguments (execve(2)). The descriptors in keep stay
// open; -1 is ignored. It returns on failure only.
func ExecSelf(args []string, keep []int) error {
	mark := func(flag int) {
		for _, fd := range keep {
			if fd >= 0 {
				_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag) // cannot fail: it is open
			}
		}
	}
	mark(0)
	err := unix.Exec("/proc/self/exe", args, os.Environ())
	mark(unix.FD_CLOEXEC)
	return wrap("execute this program again", err)
}
