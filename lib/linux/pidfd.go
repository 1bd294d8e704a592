package linux

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// PidfdOpen returns a descriptor of the process with this pid. It stays valid when the pid is reused.
func PidfdOpen(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// PidfdSignal sends a signal to the process of a pidfd (pidfd_send_signal(2)). The error is syscall.ESRCH if the
// process has ended.
func PidfdSignal(pidfd *os.File, sig syscall.Signal) error {
	return unix.PidfdSendSignal(int(pidfd.Fd()), sig, nil, 0)
}

// PidfdGetFile duplicates descriptor number of another process (pidfd_getfd(2)), with the same offset and flags.
func PidfdGetFile(pidfd *os.File, number int, name string) (*os.File, error) {
	fd, err := unix.PidfdGetfd(RawFD(pidfd), number, 0)
	if err != nil {
		return nil, fmt.Errorf("get descriptor %d of another process: %w", number, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// PidfdWait waits for the end of the process of a pidfd for at most the given milliseconds (-1: no limit), and reports
// whether it has ended.
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
