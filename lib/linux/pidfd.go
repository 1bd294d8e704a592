package linux

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// PidfdOpen returns a descriptor that means this process even when its pid is given out again.
func PidfdOpen(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// PidfdSignal sends a signal to the process behind a pidfd (pidfd_send_signal(2)). A process that is
// gone is syscall.ESRCH.
func PidfdSignal(pidfd *os.File, sig syscall.Signal) error {
	return unix.PidfdSendSignal(int(pidfd.Fd()), sig, nil, 0)
}

// PidfdGetFile returns a file that another process has open by this number (pidfd_getfd(2)): the same one, with its
// offset and its flags.
func PidfdGetFile(pidfd *os.File, number int, name string) (*os.File, error) {
	fd, err := unix.PidfdGetfd(RawFD(pidfd), number, 0)
	if err != nil {
		return nil, fmt.Errorf("get descriptor %d of another process: %w", number, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// PidfdWait waits until the process behind a pidfd has ended, for at most the given time in
// milliseconds (-1: for ever), and reports whether it has.
func PidfdWait(pidfd *os.File, milliseconds int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, milliseconds)
		if err == unix.EINTR {
			continue
		}
		return n > 0, wrap("wait for a process", err)
	}
}
