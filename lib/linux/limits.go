package linux

import "github.com/weikeit/mydocker/lib/linux/early"

// OpenFilesLimit returns the limit on open files that this process was started with; Go has raised its own.
func OpenFilesLimit() (soft, hard uint64) {
	l := early.OpenFiles()
	return l.Soft, l.Hard
}
