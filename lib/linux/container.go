package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// OPath opens only the place of a file, not the file (open(2), O_PATH).
const OPath = unix.O_PATH

// FDOf returns the number of an open file; -1 where there is none.
func FDOf(file *os.File) int {
	if file == nil {
		return -1
	}
	return int(file.Fd())
}
