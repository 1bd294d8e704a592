package linux

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OPath opens only the place of a file, not the file (open(2), O_PATH).
const OPath = unix.O_PATH

// Unshare gives the thread new namespaces (unshare(2)).
func Unshare(flags int) error { return unix.Unshare(flags) }

// SetUndumpable closes /proc/self of this process to those who share its namespaces with fewer
// rights (prctl(2), PR_SET_DUMPABLE). Executing a program ends it.
func SetUndumpable() error {
	return wrap("set undumpable", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// IsNullDevice reports whether the file at path is the null device (null(4): character device 1:3).
func IsNullDevice(path string) bool {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
}

// MountOn is [Mount] on an open file or directory (O_PATH will do). It shows itself with the path
// that the file was opened by.
func MountOn(target *os.File, source, fstype string, flags uintptr, data string) error {
	argv := mountCommand(source, target.Name(), fstype, flags, data)
	Trace(argv...)
	return mount(argv, source, FDPath(target), fstype, flags, data)
}

// ChangeMountFlags adds and takes away flags such as MsRdonly of the mount that an open file or
// directory (O_PATH will do) is the root of. mount(2) wants all of them in a remount, and in a user
// namespace refuses to lose one: so those that it has are read first.
func ChangeMountFlags(target *os.File, add, remove uintptr) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(target.Fd()), &st); err != nil {
		return fmt.Errorf("statfs %s: %w", target.Name(), err)
	}
	// The flags of statfs(2) and mount(2) have the same numbers up to relatime.
	const same = unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_SYNCHRONOUS |
		unix.ST_MANDLOCK | unix.ST_NOATIME | unix.ST_NODIRATIME
	flags := uintptr(st.Flags) & same
	if st.Flags&unix.ST_RELATIME != 0 {
		flags |= unix.MS_RELATIME
	}
	return MountOn(target, "", "", unix.MS_REMOUNT|unix.MS_BIND|(flags&^remove)|add, "")
}

// LoopbackUp sets the loopback link of the thread's network namespace up (netdevice(7)).
func LoopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	defer unix.Close(fd)
	request := struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{name: [unix.IFNAMSIZ]byte{'l', 'o'}, flags: unix.IFF_UP}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("set lo up: %w", errno)
	}
	return nil
}
