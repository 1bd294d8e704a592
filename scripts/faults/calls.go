package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// call is a system call at its entry, read from the registers (x86-64: syscall(2), "Architecture calling
// conventions").
type call struct {
	tid  int
	nr   uint64
	args [3]uint64
}

// changing holds the calls with an effect outside the process, by their numbers on x86-64. Those marked file can fail
// on a full or broken disk.
var changing = map[uint64]struct {
	name string
	file bool
}{
	1: {"write", true}, 18: {"pwrite64", true}, 20: {"writev", true}, 16: {"ioctl", false}, 40: {"sendfile", true},
	44: {"sendto", false}, 46: {"sendmsg", false}, 54: {"setsockopt", false},
	56: {"clone", false}, 57: {"fork", false}, 58: {"vfork", false}, 435: {"clone3", false}, 59: {"execve", false}, 322: {"execveat", false},
	62: {"kill", false}, 424: {"pidfd_send_signal", false},
	74: {"fsync", true}, 75: {"fdatasync", true}, 162: {"sync", false}, 306: {"syncfs", true}, 77: {"ftruncate", true}, 76: {"truncate", true}, 285: {"fallocate", true},
	82: {"rename", true}, 264: {"renameat", true}, 316: {"renameat2", true}, 83: {"mkdir", true}, 258: {"mkdirat", true},
	84: {"rmdir", false}, 87: {"unlink", false}, 263: {"unlinkat", false}, 86: {"link", true}, 265: {"linkat", true}, 88: {"symlink", true}, 266: {"symlinkat", true},
	133: {"mknod", true}, 259: {"mknodat", true}, 85: {"creat", true}, 2: {"open", true}, 257: {"openat", true}, 437: {"openat2", true},
	90: {"chmod", true}, 91: {"fchmod", true}, 268: {"fchmodat", true}, 92: {"chown", true}, 93: {"fchown", true}, 260: {"fchownat", true},
	188: {"setxattr", true}, 190: {"fsetxattr", true}, 280: {"utimensat", true},
	155: {"pivot_root", false}, 165: {"mount", false}, 166: {"umount2", false}, 428: {"open_tree", false}, 429: {"move_mount", false},
	430: {"fsopen", false}, 431: {"fsconfig", false}, 432: {"fsmount", false}, 442: {"mount_setattr", false},
	272: {"unshare", false}, 308: {"setns", false}, 321: {"bpf", false},
}

const (
	openCreate  = 0o100 | 0o1000       // O_CREAT, O_TRUNC: only these opens change something
	cloneThread = syscall.CLONE_THREAD // a new thread is no change
)

// changes returns the name of a call that changes something, "" for any other. If files is set, only calls that need
// space on a disk count.
func (c call) changes(files bool) string {
	known, ok := changing[c.nr]
	if !ok || files && !known.file {
		return ""
	}
	switch known.name {
	case "open", "openat":
		flags := c.args[1]
		if known.name == "openat" {
			flags = c.args[2]
		}
		if flags&openCreate == 0 {
			return ""
		}
	case "openat2", "clone3": // the flags are the first member of struct open_how and struct clone_args
		flags, err := c.peek(c.args[2*b2u(known.name == "openat2")])
		if err != nil || known.name == "openat2" && flags&openCreate == 0 || known.name == "clone3" && flags&cloneThread != 0 {
			return ""
		}
	case "clone":
		if c.args[0]&cloneThread != 0 {
			return ""
		}
	case "write", "pwrite64", "writev", "sendfile", "ioctl", "fsync", "fdatasync", "ftruncate", "fallocate", "fchmod", "fchown", "fsetxattr":
		// Not a pipe: fchmod on it, which tells the stage before that it is read, changes no disk.
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", c.tid, c.args[0]))
		if err != nil || strings.HasPrefix(target, "anon_inode:[event") || files && !strings.HasPrefix(target, "/") {
			return ""
		}
		if files && (strings.HasPrefix(target, "/dev/") || strings.HasPrefix(target, "/proc/") || strings.HasPrefix(target, "/sys/")) {
			return ""
		}
		if known.name == "ioctl" && c.args[1] != 0x40049409 { // only FICLONE changes a file (ioctl_ficlone(2))
			return ""
		}
	}
	return known.name
}

// peek reads a word of the process's memory.
func (c call) peek(address uint64) (uint64, error) {
	var word [8]byte
	if _, err := syscall.PtracePeekData(c.tid, uintptr(address), word[:]); err != nil {
		return 0, err
	}
	var v uint64
	for i := 7; i >= 0; i-- {
		v = v<<8 | uint64(word[i])
	}
	return v, nil
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
