package linux

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Setns enters namespaces with the calling thread, which must be locked to its goroutine: fd is a namespace
// or a pidfd, flags say which kinds (setns(2)).
func Setns(fd int, flags int) error { return wrap("enter namespaces", unix.Setns(fd, flags)) }

// Unshare gives the calling thread, which must be locked to its goroutine, new namespaces (unshare(2)).
func Unshare(flags int) error { return unix.Unshare(flags) }

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

// AwaitChild waits until a child has ended, and leaves it to be reaped (waitid(2), WNOWAIT).
func AwaitChild(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// RlimitNumber returns the number of a limit named as in the OCI specification: RLIMIT_NOFILE.
func RlimitNumber(name string) (int, bool) {
	numbers := map[string]int{
		"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_CPU": unix.RLIMIT_CPU,
		"RLIMIT_DATA": unix.RLIMIT_DATA, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS,
		"RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK, "RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE,
		"RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_NPROC": unix.RLIMIT_NPROC,
		"RLIMIT_RSS": unix.RLIMIT_RSS, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO, "RLIMIT_RTTIME": unix.RLIMIT_RTTIME,
		"RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING, "RLIMIT_STACK": unix.RLIMIT_STACK,
	}
	n, ok := numbers[name]
	return n, ok
}

// RawFD returns the number of an open file, and leaves it as it is: os.File's own Fd makes a pipe a blocking one.
func RawFD(file *os.File) int {
	fd := -1
	if conn, err := file.SyscallConn(); err == nil {
		_ = conn.Control(func(n uintptr) { fd = int(n) }) // closed: it has none
	}
	return fd
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

// CloseOnExecFrom marks every descriptor from first on, so that no program gets one by accident.
func CloseOnExecFrom(first int) error {
	return wrap("mark descriptors close-on-exec", unix.CloseRange(uint(first), ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC))
}

// NullStderr puts the null device in the place of standard error.
func NullStderr() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return wrap("put the null device in the place of standard error", unix.Dup3(int(null.Fd()), 2, 0))
}

// AwaitNoReader waits until nobody has the reading end of a FIFO any more, whose writing end is file.
func AwaitNoReader(file *os.File, limit time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(file.Fd())}}
	for end := time.Now().Add(limit); ; {
		n, err := unix.Poll(fds, int(time.Until(end).Milliseconds()))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("wait for a reader: %w", err)
		case n == 0:
			return fmt.Errorf("wait for a reader to end: %w", os.ErrDeadlineExceeded)
		}
		return nil
	}
}

// SignalNumber returns the number of a signal given as TERM, SIGTERM, sigterm or 15.
func SignalNumber(name string) (syscall.Signal, error) {
	var n int
	if _, err := fmt.Sscanf(name, "%d", &n); err == nil && fmt.Sprint(n) == name {
		if n < 1 || n > 64 {
			return 0, fmt.Errorf("signal %s: want 1 to 64", name)
		}
		return syscall.Signal(n), nil
	}
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if n := unix.SignalNum(upper); n != 0 {
		return n, nil
	}
	if text, ok := strings.CutPrefix(upper, "SIGRTMIN+"); ok {
		if offset, err := strconv.ParseUint(text, 10, 8); err == nil && offset <= 30 {
			return syscall.Signal(34 + offset), nil
		}
	}
	return 0, fmt.Errorf("signal %.40q: no such signal: want a name such as SIGTERM or a number", name)
}

// SignalName returns SIGTERM for 15.
func SignalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprintf("SIG%d", int(sig))
}

// wrap says what was tried where err is an error.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Flags of clone(2) and setns(2), one per kind of namespace.
const (
	NewNS     = unix.CLONE_NEWNS
	NewUTS    = unix.CLONE_NEWUTS
	NewIPC    = unix.CLONE_NEWIPC
	NewPID    = unix.CLONE_NEWPID
	NewNet    = unix.CLONE_NEWNET
	NewCgroup = unix.CLONE_NEWCGROUP
	NewUser   = unix.CLONE_NEWUSER
	NewTime   = unix.CLONE_NEWTIME
)

// ThreadID returns the id of the calling thread. /proc has a directory of that name, with all files of a process.
func ThreadID() int { return unix.Gettid() }
