package linux

import "golang.org/x/sys/unix"

// AwaitChild waits for the end of a child and leaves it as a zombie (waitid(2), WNOWAIT).
func AwaitChild(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// ThreadID returns the id of the calling thread. /proc has a directory of that name, which shows the whole process.
func ThreadID() int { return unix.Gettid() }
