package linux

import (
	"golang.org/x/sys/unix"

	"github.com/weikeit/mydocker/lib/linux/early"
)

// OpenFilesLimit returns the limit on open files that this process was started with, before Go raised it.
func OpenFilesLimit() (soft, hard uint64) {
	l := early.OpenFiles()
	return l.Soft, l.Hard
}

// RlimitNumber returns the number of a limit by its name in the OCI specification, such as RLIMIT_NOFILE.
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
