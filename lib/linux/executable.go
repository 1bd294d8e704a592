package linux

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Executable returns the path of this program. One that runs from a mount that is nowhere (package guard) has
// no other path than the one that it was given as its name.
func Executable() (string, error) {
	path, err := os.Executable()
	if err == nil && filepath.IsAbs(os.Args[0]) {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return os.Args[0], nil
		}
	}
	return path, err
}

// OpenReadOnly opens a program by a mount of its own, which is nowhere and read-only.
func OpenReadOnly(path string) (*os.File, error) {
	file, err := OpenTree(path, false)
	if err != nil {
		return nil, err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(int(file.Fd()), "", unix.AT_EMPTY_PATH, &attr); err != nil {
		file.Close()
		return nil, fmt.Errorf("make a read-only mount of %s: %w", path, err)
	}
	return file, nil
}

// ExecSelf executes this very program anew, with other arguments, in place of the process (execve(2)): of its open
// files those in keep stay open, -1 for none. It returns where that fails.
func ExecSelf(args []string, keep []int) error {
	mark := func(flag int) {
		for _, fd := range keep {
			if fd >= 0 {
				_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag) // it is open
			}
		}
	}
	mark(0)
	err := unix.Exec("/proc/self/exe", args, os.Environ())
	mark(unix.FD_CLOEXEC)
	return wrap("execute this program anew", err)
}
