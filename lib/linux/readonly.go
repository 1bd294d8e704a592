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
