package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// DeviceNode is a device file.
type DeviceNode struct {
	Kind         string // c or b
	Major, Minor int64
	Mode         os.FileMode // permissions
	UID, GID     uint32
}

// StatDevice returns the device file at path.
func StatDevice(path string) (DeviceNode, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return DeviceNode{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	d := DeviceNode{
		Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)), Mode: os.FileMode(st.Mode & 0o777), UID: st.Uid, GID: st.Gid,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		d.Kind = "c"
	case unix.S_IFBLK:
		d.Kind = "b"
	default:
		return d, fmt.Errorf("%s is not a device", path)
	}
	return d, nil
}

// DeviceOfStream returns the number of the character device that is open as fd, and its access mode. ok is false for
// other files.
func DeviceOfStream(fd int) (major, minor uint32, flags int, ok bool) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return 0, 0, 0, false
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_PATH != 0 {
		return 0, 0, 0, false
	}
	return unix.Major(st.Rdev), unix.Minor(st.Rdev), flags & unix.O_ACCMODE, true
}

// Major and Minor return the parts of a device number (makedev(3)).
func Major(dev uint64) uint32 { return unix.Major(dev) }

func Minor(dev uint64) uint32 { return unix.Minor(dev) }
