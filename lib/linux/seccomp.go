package linux

import "golang.org/x/sys/unix"

// BPFInstruction is one instruction of a classic BPF program (linux/filter.h, struct sock_filter).
type BPFInstruction = unix.SockFilter

// Flags of [Steps.Seccomp].
const (
	SeccompTSync        = unix.SECCOMP_FILTER_FLAG_TSYNC
	SeccompLog          = unix.SECCOMP_FILTER_FLAG_LOG
	SeccompSpecAllow    = unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	SeccompNewListener  = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	SeccompWaitKillable = unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
)
