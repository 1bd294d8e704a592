package linux

import "golang.org/x/sys/unix"

// Setns moves the calling thread, which must be locked to its goroutine, into namespaces (setns(2)). fd is a namespace
// or a pidfd.
func Setns(fd int, flags int) error { return wrap("enter namespaces", unix.Setns(fd, flags)) }

// Unshare moves the calling thread, which must be locked to its goroutine, into new namespaces (unshare(2)).
func Unshare(flags int) error { return unix.Unshare(flags) }

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
