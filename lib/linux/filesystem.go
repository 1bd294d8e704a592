package linux

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// FilesystemType returns the type of the file system of path if it is one known for missing features, such as overlay,
// nfs, fuse or vfat (statfs(2)); "" for others.
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

// SyncFS writes the cached data of the file system of dir to the disk (syncfs(2)).
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

// StartWriteback starts writing the cached data of a file to the disk and does not wait (sync_file_range(2)), so that a
// later [SyncFS] has less to do. It guarantees nothing.
func StartWriteback(file *os.File) {
	_ = unix.SyncFileRange(int(file.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

// FreeSpace returns how many bytes and files users can still add to the file system of dir.
func FreeSpace(dir string) (bytes, files uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if st.Files == 0 { // btrfs and others do not count files
		st.Ffree = 1 << 62
	}
	return st.Bavail * uint64(st.Bsize), st.Ffree, nil
}

// WriteUncached writes data at the offset, starts writing it to the disk at once and drops it from the page cache
// afterwards (pwritev2(2) with RWF_DONTCACHE, Linux 6.14). It is for data that is not read again soon. Older kernels
// and some file systems keep it in the cache.
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

// BirthTime returns when the file at path was created, or its modification time if the file system does not record that
// (statx(2)).
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
