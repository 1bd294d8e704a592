package linux

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

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

// SyncFS writes all that is cached of the file system that dir is on to the disk (syncfs(2)).
func SyncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}

// StartWriteback has the kernel begin to write what is cached of the file to the disk, and does not wait
// for it (sync_file_range(2)): a [SyncFS] later has less to do. It promises nothing.
func StartWriteback(file *os.File) {
	_ = unix.SyncFileRange(int(file.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

// FreeSpace returns the bytes and the files that users may still add to the file system of dir.
func FreeSpace(dir string) (bytes, files uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if st.Files == 0 { // btrfs and others count no files
		st.Ffree = 1 << 62
	}
	return st.Bavail * uint64(st.Bsize), st.Ffree, nil
}

// WriteUncached writes data at the offset, and lets go of the memory that held it as soon as it is on the
// disk, which it starts at once (pwritev2(2) with RWF_DONTCACHE, Linux 6.14): for what is not read
// again soon. Older kernels, and file systems that cannot, keep it in the cache as always.
func WriteUncached(file *os.File, data []byte, offset int64) error {
	const dontCache = 0x80 // RWF_DONTCACHE
	for len(data) > 0 {
		n, err := unix.Pwritev2(int(file.Fd()), [][]byte{data}, offset, dontCache)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EOPNOTSUPP || err == unix.ENOSYS:
			_, err := file.WriteAt(data, offset)
			return err
		case err != nil:
			return &os.PathError{Op: "write", Path: file.Name(), Err: err}
		}
		data, offset = data[n:], offset+int64(n)
	}
	return nil
}

// BirthTime returns when the file at path was made, or last changed where the file system does not
// say (statx(2)).
func BirthTime(path string) (time.Time, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_BTIME|unix.STATX_MTIME, &st); err != nil {
		return time.Time{}, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	at := st.Mtime
	if st.Mask&unix.STATX_BTIME != 0 {
		at = st.Btime
	}
	return time.Unix(at.Sec, int64(at.Nsec)), nil
}
