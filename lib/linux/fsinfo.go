package linux

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// OpenDir opens the directory at path, which is trusted, for reading.
func OpenDir(path string) (Dir, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return Dir{f}, err
}

// Major and Minor part the number of a device (makedev(3)).
func Major(dev uint64) uint32 { return unix.Major(dev) }
func Minor(dev uint64) uint32 { return unix.Minor(dev) }

// IsMountPoint reports whether something is mounted at path, a bind of the same file system included
// (statx(2), STATX_ATTR_MOUNT_ROOT; Linux 5.8). What is not there is no mount point.
func IsMountPoint(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// MountID returns the number of the mount that a path lies in (statx(2), STATX_MNT_ID; Linux 5.8).
func MountID(path string) (uint64, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st)
	return st.Mnt_id, wrap("find the mount of "+path, err)
}

// FilesystemType names the file system that path lies on if it is one that often makes trouble: overlay,
// nfs, fuse, vfat … (statfs(2)); "" for others.
func FilesystemType(path string) string {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return ""
	}
	names := map[int64]string{
		unix.OVERLAYFS_SUPER_MAGIC: "an overlay", unix.NFS_SUPER_MAGIC: "nfs", unix.FUSE_SUPER_MAGIC: "fuse",
		unix.MSDOS_SUPER_MAGIC: "vfat", unix.V9FS_MAGIC: "9p", unix.CIFS_SUPER_MAGIC: "cifs",
		unix.SMB2_SUPER_MAGIC: "smb", unix.ECRYPTFS_SUPER_MAGIC: "ecryptfs",
	}
	return names[int64(st.Type)]
}

// OpenRegular opens the regular file that name means beneath the root for reading. Whatever else is
// there is an error, and is not opened even for a moment: a device or a fifo would notice.
func (r *Root) OpenRegular(name string) (*os.File, error) {
	handle, err := r.Open(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	info, err := handle.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: handle.Name(), Err: errNotRegular}
	}
	return os.Open(FDPath(handle))
}

var errNotRegular = errors.New("not a regular file")

// MountOf returns where the mount is that a path lies in (statx(2), STATX_ATTR_MOUNT_ROOT; Linux 5.8).
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
