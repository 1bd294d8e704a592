package linux

import "golang.org/x/sys/unix"

// Setns enters namespaces with the calling thread, which must be locked to its goroutine: fd is a namespace
// or a pidfd, flags say which kinds (setns(2)).
func Setns(fd int, flags int) error { return wrap("enter namespaces", unix.Setns(fd, flags)) }

// Unshare gives the calling thread, which must be locked to its goroutine, new namespaces (unshare(2)).
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
