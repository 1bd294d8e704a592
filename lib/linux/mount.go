package linux

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Flags of mount(2).
const (
	MsRdonly      = unix.MS_RDONLY
	MsNosuid      = unix.MS_NOSUID
	MsNodev       = unix.MS_NODEV
	MsNoexec      = unix.MS_NOEXEC
	MsSynchronous = unix.MS_SYNCHRONOUS
	MsRemount     = unix.MS_REMOUNT
	MsMandlock    = unix.MS_MANDLOCK
	MsDirsync     = unix.MS_DIRSYNC
	MsNosymfollow = unix.MS_NOSYMFOLLOW
	MsNoatime     = unix.MS_NOATIME
	MsNodiratime  = unix.MS_NODIRATIME
	MsBind        = unix.MS_BIND
	MsRec         = unix.MS_REC
	MsSilent      = unix.MS_SILENT
	MsUnbindable  = unix.MS_UNBINDABLE
	MsPrivate     = unix.MS_PRIVATE
	MsSlave       = unix.MS_SLAVE
	MsShared      = unix.MS_SHARED
	MsRelatime    = unix.MS_RELATIME
	MsStrictatime = unix.MS_STRICTATIME
	MsLazytime    = unix.MS_LAZYTIME
)

// Flags of umount2(2).
const (
	MntDetach      = unix.MNT_DETACH
	UmountNofollow = unix.UMOUNT_NOFOLLOW
)

// Attributes of mount_setattr(2).
const (
	AttrRdonly      = unix.MOUNT_ATTR_RDONLY
	AttrNosuid      = unix.MOUNT_ATTR_NOSUID
	AttrNodev       = unix.MOUNT_ATTR_NODEV
	AttrNoexec      = unix.MOUNT_ATTR_NOEXEC
	AttrNodiratime  = unix.MOUNT_ATTR_NODIRATIME
	AttrNosymfollow = unix.MOUNT_ATTR_NOSYMFOLLOW
	AttrRelatime    = unix.MOUNT_ATTR_RELATIME
	AttrNoatime     = unix.MOUNT_ATTR_NOATIME
	AttrStrictatime = unix.MOUNT_ATTR_STRICTATIME
	AttrAtime       = unix.MOUNT_ATTR__ATIME // mask of the three before
	AttrIDMap       = unix.MOUNT_ATTR_IDMAP
)

// pageSize is how many bytes of data mount(2) reads, including the terminating NUL. It silently cuts off the rest.
const pageSize = 4096

// Mount is mount(2): depending on the flags a new mount, a bind mount, a remount or a change of propagation. --debug
// and errors show the mount(8) command.
func Mount(source, target, fstype string, flags uintptr, data string) error {
	argv := MountCommand(source, target, fstype, flags, data)
	Trace(argv...)
	return mount(argv, source, target, fstype, flags, data)
}

// mount performs the command argv.
func mount(argv []string, source, target, fstype string, flags uintptr, data string) error {
	err := error(unix.E2BIG)
	if len(data) < pageSize {
		err = unix.Mount(source, target, fstype, flags, data)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", shorten(argv), err)
	}
	return nil
}

// MountCommand returns the mount(8) command for a call of mount(2).
func MountCommand(source, target, fstype string, flags uintptr, data string) []string {
	argv := []string{"mount"}
	const propagation = unix.MS_SHARED | unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_UNBINDABLE
	recursive := ""
	if flags&unix.MS_REC != 0 {
		recursive = "r"
	}
	switch {
	case flags&propagation != 0:
		kinds := map[uintptr]string{unix.MS_SHARED: "shared", unix.MS_PRIVATE: "private", unix.MS_SLAVE: "slave", unix.MS_UNBINDABLE: "unbindable"}
		return append(argv, "--make-"+recursive+kinds[flags&propagation], target)
	case flags&unix.MS_MOVE != 0:
		return append(argv, "--move", source, target)
	case flags&unix.MS_BIND != 0 && flags&unix.MS_REMOUNT == 0:
		return append(argv, "--"+recursive+"bind", source, target)
	case flags&unix.MS_REMOUNT == 0:
		argv = append(argv, "-t", fstype)
	}
	if options := mountOptions(flags, data); options != "" {
		argv = append(argv, "-o", options)
	}
	if flags&unix.MS_REMOUNT == 0 {
		argv = append(argv, source)
	}
	return append(argv, target)
}

// mountOptions returns flags and data as the options of mount(8).
func mountOptions(flags uintptr, data string) string {
	names := []struct {
		flag uintptr
		name string
	}{
		{unix.MS_REMOUNT, "remount"}, {unix.MS_BIND, "bind"}, {unix.MS_RDONLY, "ro"}, {unix.MS_NOSUID, "nosuid"},
		{unix.MS_NODEV, "nodev"}, {unix.MS_NOEXEC, "noexec"}, {unix.MS_SYNCHRONOUS, "sync"}, {unix.MS_MANDLOCK, "mand"},
		{unix.MS_DIRSYNC, "dirsync"}, {unix.MS_NOSYMFOLLOW, "nosymfollow"}, {unix.MS_NOATIME, "noatime"},
		{unix.MS_NODIRATIME, "nodiratime"}, {unix.MS_SILENT, "silent"}, {unix.MS_RELATIME, "relatime"},
		{unix.MS_STRICTATIME, "strictatime"}, {unix.MS_LAZYTIME, "lazytime"},
	}
	var options []string
	for _, n := range names {
		if flags&n.flag != 0 {
			options = append(options, n.name)
		}
	}
	if data != "" {
		options = append(options, data)
	}
	return strings.Join(options, ",")
}

// Unmount is umount2(2). The error is syscall.EINVAL if target is not a mount point, syscall.ENOENT if it does not
// exist.
func Unmount(target string, flags int) error {
	argv := []string{"umount"}
	if flags&unix.MNT_DETACH != 0 {
		argv = append(argv, "-l")
	}
	argv = append(argv, target)
	Trace(argv...)
	if err := unix.Unmount(target, flags); err != nil {
		return fmt.Errorf("%s: %w", Quote(argv...), err)
	}
	return nil
}

// MountAttr is a change by mount_setattr(2): attributes to set and to clear, and the propagation (MsPrivate …; 0 keeps
// it).
type MountAttr struct {
	Set         uint64
	Clear       uint64
	Propagation uint64
	UserNS      *os.File // with AttrIDMap in Set
}

// AttrOfFlags converts the mount(2) flags that a bind mount gets and loses for mount_setattr(2). Flags of the file
// system, such as MsSynchronous, do not apply to bind mounts.
func AttrOfFlags(set, unset uintptr) MountAttr {
	var attr MountAttr
	for _, same := range []struct{ flag, attr uint64 }{
		{MsRdonly, AttrRdonly}, {MsNosuid, AttrNosuid}, {MsNodev, AttrNodev}, {MsNoexec, AttrNoexec},
		{MsNodiratime, AttrNodiratime}, {MsNosymfollow, AttrNosymfollow},
	} {
		if uint64(set)&same.flag != 0 {
			attr.Set |= same.attr
		}
		if uint64(unset)&same.flag != 0 {
			attr.Clear |= same.attr
		}
	}
	switch { // exactly one of three (mount_setattr(2)); relatime is 0
	case set&MsNoatime != 0:
		attr.Set, attr.Clear = attr.Set|AttrNoatime, attr.Clear|AttrAtime
	case set&MsStrictatime != 0:
		attr.Set, attr.Clear = attr.Set|AttrStrictatime, attr.Clear|AttrAtime
	case set&MsRelatime != 0 || unset&MsNoatime != 0:
		attr.Clear |= AttrAtime
	}
	return attr
}

// HasMountSetattr reports whether the kernel has mount_setattr(2), which makes a tree of mounts read-only at once.
func HasMountSetattr() bool {
	return !errors.Is(unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{}), unix.ENOSYS)
}

// OpenTree returns a detached bind mount of path, with the mounts beneath it if recursive is set (open_tree(2),
// OPEN_TREE_CLONE; Linux 5.2).
func OpenTree(path string, recursive bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, flags)
	if err != nil {
		return nil, fmt.Errorf("open mount %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// IsMountPoint reports whether path is a mount point, also of a bind mount from the same file system (statx(2),
// STATX_ATTR_MOUNT_ROOT; Linux 5.8). A missing path is not one.
func IsMountPoint(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// MountID returns the id of the mount that path is on (statx(2), STATX_MNT_ID; Linux 5.8).
func MountID(path string) (uint64, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st)
	return st.Mnt_id, wrap("find the mount of "+path, err)
}

// MountOf returns the mount point of the mount that path is on (statx(2), STATX_ATTR_MOUNT_ROOT; Linux 5.8).
func MountOf(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	for ; ; path = filepath.Dir(path) {
		var st unix.Statx_t
		if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st); err != nil {
			return "", fmt.Errorf("find the mount of %s: %w", path, err)
		}
		if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 || path == "/" {
			return path, nil
		}
	}
}

// CanMap returns the reason why source cannot have an idmapped mount ([AttachMapped]), nil if it can.
func CanMap(source string, users *os.File) error {
	tree, err := openMapped(source, users)
	if err != nil {
		return err
	}
	return tree.Close()
}

func openMapped(source string, users *os.File) (*os.File, error) {
	tree, err := OpenTree(source, false)
	if err != nil {
		return nil, err
	}
	// Later mounts in the source must not appear here, nor go when this mount goes.
	attr := unix.MountAttr{Attr_set: AttrIDMap, Userns_fd: uint64(users.Fd()), Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(int(tree.Fd()), "", unix.AT_EMPTY_PATH, &attr); err != nil {
		tree.Close()
		return nil, fmt.Errorf("map the ids of %s: %w", source, err)
	}
	return tree, nil
}

// AttachMapped makes target a bind mount of source that shows file owners through a user namespace: an idmapped mount
// (mount_setattr(2), Linux 5.12). The error is EINVAL if the file system does not support it.
func AttachMapped(source, target string, users *os.File) error {
	Trace("mount", "--bind", "-o", "X-mount.idmap="+users.Name(), source, target)
	tree, err := openMapped(source, users)
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := unix.MoveMount(int(tree.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}

// UnescapeMount replaces the octal escapes in a path of mountinfo (proc_pid_mountinfo(5)), such as \040.
func UnescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
