package linux

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BPFInstruction is one of a program of classic BPF (linux/filter.h, struct sock_filter).
type BPFInstruction = unix.SockFilter

// Flags of [SetSeccomp].
const (
	SeccompTSync        = unix.SECCOMP_FILTER_FLAG_TSYNC
	SeccompLog          = unix.SECCOMP_FILTER_FLAG_LOG
	SeccompSpecAllow    = unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	SeccompNewListener  = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	SeccompWaitKillable = unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
)

// SetSeccomp puts a filter before the thread's system calls, for good (seccomp(2)). It takes CAP_SYS_ADMIN, or
// no_new_privs.
func SetSeccomp(program []BPFInstruction, flags uintptr) error {
	if len(program) == 0 || len(program) > unix.BPF_MAXINSNS {
		return fmt.Errorf("set the seccomp filter: %d instructions: %w", len(program), unix.EINVAL)
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return fmt.Errorf("set the seccomp filter: %w", errno)
	}
	return nil
}
