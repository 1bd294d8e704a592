package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// OPath opens only the place of a file, not the file (open(2), O_PATH).
const OPath = unix.O_PATH

// IsNullDevice reports whether the file at path is the null device (null(4): character device 1:3).
func IsNullDevice(path string) bool {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
}

// FDOf returns the number of an open file; -1 where there is none.
func FDOf(file *os.File) int {
	if file == nil {
		return -1
	}
	return int(file.Fd())
}
