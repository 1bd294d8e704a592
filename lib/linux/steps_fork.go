package linux

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What package syscall calls around its own fork: signals are blocked during it, and the child handles none of ours.
// The Go team keeps these names for programs that fork by themselves.

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// report is what a child sends to its parent: the step that it has come to, and the error. Error 0 is a sync point.
type report struct {
	step  int32
	errno int32
}

const reportSize = unsafe.Sizeof(report{})

// scratch is the memory that a child writes.
type scratch struct {
	registers []uintptr
	report    report
	action    [4]uintptr // for rt_sigaction(2): SIG_DFL
	mask      uint64
}

// Fork starts a child in new namespaces (flags of clone(2)) that performs the plan. If birthplace is not nil, it starts
// in that v2 cgroup. If the plan has [Steps.DieWithParent], the calling goroutine must stay locked to its thread while
// the child lives.
func (l *Steps) Fork(namespaces int, birthplace *os.File) (pid int, err error) {
	if l.err != nil {
		return 0, l.err
	}
	args := &cloneArgs{flags: uint64(namespaces), exitSignal: uint64(syscall.SIGCHLD)}
	if birthplace != nil {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgroup = uint64(birthplace.Fd())
	}
	memory := &scratch{registers: make([]uintptr, l.registers)}
	syscall.ForkLock.Lock() // as for every fork: see syscall.ForkLock
	r, errno := fork(args, l.list, memory, uintptr(l.socket), arguments)
	syscall.ForkLock.Unlock()
	runtime.KeepAlive(l)
	runtime.KeepAlive(memory)
	if errno != 0 {
		return 0, fmt.Errorf("clone: %w", errno)
	}
	return int(r), nil
}

// cloneArgs is struct clone_args of clone3(2).
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

// fork is the call that returns twice. The child has a copy of the memory (no CLONE_VM), so the parent continues at
// once. The child runs on the current stack and never returns.
//
//go:noinline
//go:norace
//go:nocheckptr
func fork(args *cloneArgs, list []step, memory *scratch, socket uintptr, words *commandLine) (uintptr, syscall.Errno) {
	beforeFork()
	clear(words.kernel)
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0, 0, 0, 0)
	if errno == syscall.ENOSYS && args.flags&unix.CLONE_INTO_CGROUP == 0 { // as old seccomp profiles of container engines answer
		pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, uintptr(args.flags)|uintptr(args.exitSignal), 0, 0, 0, 0, 0)
	}
	if errno != 0 || pid != 0 {
		copy(words.kernel, words.copied)
		afterFork()
		return pid, errno
	}
	afterForkInChild()
	perform(list, memory, socket)
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 125, 0, 0)
	}
}

// perform performs the plan in the child. It returns after a failed step, which it has reported to the parent. It runs
// after a fork of a multithreaded program: it only makes system calls, allocates nothing and writes no pointer.
//
//go:nosplit
//go:norace
//go:noinline
//go:nocheckptr
func perform(list []step, memory *scratch, socket uintptr) {
	// Ignored and blocked signals stay so across execve(2), but nohup(1) before our command must not affect the
	// container.
	for sig := uintptr(1); sig <= 64; sig++ {
		syscall.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&memory.action)), 0, 8, 0, 0)
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&memory.mask)), 0, 8, 0, 0)
	i, remembered := 0, syscall.Errno(0)
	for i < len(list) {
		s := &list[i]
		result, errno := s.perform(memory)
		if errno == 0 && s.into != noRegister {
			memory.registers[s.into] = result
		}
		if errno == 0 && result < s.least {
			errno = syscall.ECANCELED
		}
		if d := s.device; errno == 0 && d != nil &&
			(d.got.Mode&unix.S_IFMT != unix.S_IFCHR || d.got.Rdev_major != d.major || d.got.Rdev_minor != d.minor) {
			errno = syscall.ENXIO
		}
		i++
		if errno == 0 {
			i += s.onSuccess
			continue
		}
		ignore := s.ignoreAll
		for j := range s.ignored {
			if s.ignored[j] == errno {
				ignore = true
			}
		}
		if !ignore {
			remembered = errno
			i--
			break
		}
		if s.remember && errno != syscall.ENOENT && errno != syscall.ENOTDIR {
			remembered = errno
		}
		i += s.onFailure
	}
	memory.report.step, memory.report.errno = int32(i), int32(remembered)
	// MSG_NOSIGNAL: the parent may be gone, as when the start of a created container fails.
	syscall.RawSyscall6(unix.SYS_SENDTO, socket, uintptr(unsafe.Pointer(&memory.report)), reportSize, unix.MSG_NOSIGNAL, 0, 0)
}

// perform makes the system call of one step.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (s *step) perform(memory *scratch) (uintptr, syscall.Errno) {
	var a [maxArgs]uintptr
	for j := range s.args {
		switch v := &s.args[j]; v.kind {
		case isNothing, isNumber:
			a[j] = v.n
		case isRegister:
			a[j] = memory.registers[v.n]
		default:
			a[j] = uintptr(v.p)
		}
	}
	for {
		result, _, errno := syscall.RawSyscall6(s.call.number, a[0], a[1], a[2], a[3], a[4], a[5])
		// EAGAIN of openat2(2): raced with a rename
		if errno == syscall.EINTR || errno == syscall.EAGAIN && s.call.number == unix.SYS_OPENAT2 {
			continue
		}
		return result, errno
	}
}

// Report is a message from a child.
type Report struct {
	Step    int
	Errno   syscall.Errno
	Failed  bool     // the child exits
	Console *os.File // the master of its terminal, if it sent one
}

// ReadReport waits for the child's next report. ok is false at the end: the child has executed the program, or was
// killed.
func (l *Steps) ReadReport(ours *os.File) (r Report, ok bool, err error) {
	var buffer [reportSize]byte
	n, file, err := Receive(ours, buffer[:])
	if err != nil || n == 0 {
		return Report{}, false, err
	}
	if n != int(reportSize) {
		return Report{}, false, fmt.Errorf("read report of child: got %d bytes", n)
	}
	raw := *(*report)(unsafe.Pointer(&buffer))
	r = Report{Step: int(raw.step), Errno: syscall.Errno(raw.errno), Console: file}
	r.Failed = r.Errno != 0 || r.Step >= len(l.list)
	return r, true, nil
}

// SyncPoint makes the child report and wait until the parent calls [ResumeChild]. It returns the reported step.
func (l *Steps) SyncPoint() int {
	here := &report{step: int32(len(l.list))}
	l.add(&sysWrite, num(l.socket), block(unsafe.Pointer(here)), num(int(reportSize))).Least(int(reportSize))
	l.AwaitByte(num(l.socket))
	return int(here.step)
}

// AwaitByte waits for one byte and reads it.
func (l *Steps) AwaitByte(fd Value) {
	l.add(&sysRead, fd, block(unsafe.Pointer(new(uint64))), num(1)).Least(1)
}

// ResumeChild resumes a child that waits at a sync point ([Steps.SyncPoint]).
func ResumeChild(ours *os.File) error {
	_, err := ours.Write([]byte{1})
	return wrap("resume child", err)
}
