package linux

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The functions of this file change the calling thread alone, as the kernel does, not all threads of
// the process, as Go's own do. They are for a goroutine that is locked to its thread and then
// executes another program, which gets just what that thread has.

// PrepareThread locks the goroutine to its thread and gives the thread a file system context of its
// own (working directory, root, umask), without which it may not enter a mount namespace (setns(2)).
func PrepareThread() error {
	runtime.LockOSThread()
	return wrap("unshare file system attributes", unix.Unshare(unix.CLONE_FS))
}

// Setns enters namespaces: fd is a namespace or a pidfd, flags say which kinds (setns(2)).
func Setns(fd int, flags int) error { return wrap("enter namespaces", unix.Setns(fd, flags)) }

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

// NewSession makes the calling process the leader of a new session without a terminal.
func NewSession() error {
	_, err := unix.Setsid()
	return wrap("setsid", err)
}

// NewSessionKeyring gives the thread an empty session keyring, so that the caller's keys stay
// outside (keyrings(7)). A kernel without keyrings has none to leak.
func NewSessionKeyring() error {
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) // no name: a new one
	if err == unix.ENOSYS {
		return nil
	}
	return wrap("join a new session keyring", err)
}

// SetHostname and SetDomainname change the names of the UTS namespace.
func SetHostname(name string) error {
	return wrap("set hostname "+name, unix.Sethostname([]byte(name)))
}

// SetDomainname changes the NIS domain name of the UTS namespace.
func SetDomainname(name string) error {
	return wrap("set domainname "+name, unix.Setdomainname([]byte(name)))
}

// PivotRoot makes dir, which must be a mount point, the root, and takes the old root away.
func PivotRoot(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("chdir %s: %w", dir, err)
	}
	// Both "." (pivot_root(2), NOTES): the old root is stacked on the new one, and goes by umount.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root %s: %w", dir, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the old root: %w", err)
	}
	return wrap("chdir /", unix.Chdir("/"))
}

// SetParentDeathSignal asks for a signal when the parent dies (PR_SET_PDEATHSIG). It is lost when
// the thread changes its user.
func SetParentDeathSignal(sig syscall.Signal) error {
	return wrap("set parent death signal", unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(sig), 0, 0, 0))
}

// SetNoNewPrivs makes it impossible to gain privileges by executing a program (PR_SET_NO_NEW_PRIVS).
func SetNoNewPrivs() error {
	return wrap("set no_new_privs", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// Umask sets the file mode creation mask.
func Umask(mask int) { unix.Umask(mask) }

// SetUser changes the thread's groups, group and user, and keeps the permitted capabilities, which
// [SetCapabilities] then reduces.
func SetUser(uid, gid uint32, groups []uint32) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	if err := setgroups(groups); err != nil {
		return fmt.Errorf("setgroups %v: %w", groups, err)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)); e != 0 {
		return fmt.Errorf("setgid %d: %w", gid, e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
		return fmt.Errorf("setuid %d: %w", uid, e)
	}
	return nil
}

// SetRlimit sets a resource limit. By way of Go's own call: it else restores the limit on open
// files, which it raised itself, when a program is executed.
func SetRlimit(resource int, soft, hard uint64) error {
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: soft, Max: hard})
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

// CloseOnExecFrom marks every descriptor from first on, so that no program gets one by accident.
func CloseOnExecFrom(first int) error {
	return wrap("mark descriptors close-on-exec", unix.CloseRange(uint(first), ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC))
}

// ResetSignals gives signals that are ignored their default action: an ignored signal stays so when a
// program is executed, and nohup(1) before our command is not meant for the container.
func ResetSignals() {
	var action struct{ handler, flags, restorer, mask uintptr }
	for sig := uintptr(1); sig <= 64; sig++ {
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, 0, uintptr(unsafe.Pointer(&action)), 8, 0, 0)
		if errno != 0 || action.handler != 1 { // SIG_IGN
			continue
		}
		action.handler, action.flags, action.restorer, action.mask = 0, 0, 0, 0
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
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
)
