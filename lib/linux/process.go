package linux

import "golang.org/x/sys/unix"

// AwaitChild waits until a child has ended, and leaves it to be reaped (waitid(2), WNOWAIT).
func AwaitChild(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// ThreadID returns the id of the calling thread. /proc has a directory of that name, with all files of a process.
func ThreadID() int { return unix.Gettid() }
