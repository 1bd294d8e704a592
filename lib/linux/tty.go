package linux

import "golang.org/x/sys/unix"

// IsTerminal reports whether fd is a terminal (ioctl_tty(2), TCGETS).
func IsTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
