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

// StatDevice returns the device that path leads to.
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
		return d, fmt.Errorf("%s: it is no device", path)
	}
	return d, nil
}
