package linux

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is an open directory. Its methods act on one name in it and never follow a symbolic link there, so that untrusted
// trees can be made and read: [Root.OpenDir] resolves the parent, and name must be a plain name.
type Dir struct{ *os.File }

// OpenDir opens a directory beneath the root.
func (r *Root) OpenDir(name string) (Dir, error) {
	f, err := r.Open(name, unix.O_PATH|unix.O_DIRECTORY)
	return Dir{f}, err
}

func (d Dir) fd() int { return int(d.Fd()) }

func (d Dir) wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: filepath.Join(d.Name(), name), Err: err}
}

// OpenDir opens the directory name for reading.
func (d Dir) OpenDir(name string) (Dir, error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Dir{}, d.wrap("open", name, err)
	}
	return Dir{os.NewFile(uintptr(fd), filepath.Join(d.Name(), name))}, nil
}

// OpenFile opens the regular file name for reading. It does not block on a FIFO.
func (d Dir) OpenFile(name string) (*os.File, error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.wrap("open", name, err)
	}
	return os.NewFile(uintptr(fd), filepath.Join(d.Name(), name)), nil
}

// CreateFile creates the file name with mode 0600 and opens it for writing.
func (d Dir) CreateFile(name string) (*os.File, error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, d.wrap("create", name, err)
	}
	return os.NewFile(uintptr(fd), filepath.Join(d.Name(), name)), nil
}

// Stat returns the metadata of name.
func (d Dir) Stat(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, d.wrap("stat", name, err)
}

// Mkdir makes a directory with mode 0700.
func (d Dir) Mkdir(name string) error {
	return d.wrap("mkdir", name, unix.Mkdirat(d.fd(), name, 0o700))
}

// Symlink makes name a symbolic link to target.
func (d Dir) Symlink(target, name string) error {
	return d.wrap("symlink", name, unix.Symlinkat(target, d.fd(), name))
}

// Link makes name a hard link to old in the directory from.
func (d Dir) Link(from Dir, old, name string) error {
	return d.wrap("link", name, unix.Linkat(from.fd(), old, d.fd(), name, 0))
}

// Mknod makes a special file; mode includes its type (mknod(2)).
func (d Dir) Mknod(name string, mode uint32, major, minor uint32) error {
	return d.wrap("mknod", name, unix.Mknodat(d.fd(), name, mode, int(unix.Mkdev(major, minor))))
}

// Readlink returns the target of the symbolic link name.
func (d Dir) Readlink(name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(d.fd(), name, buf)
	if err != nil {
		return "", d.wrap("readlink", name, err)
	}
	return string(buf[:n]), nil
}

// Chown changes the owner and the group of name.
func (d Dir) Chown(name string, uid, gid int) error {
	return d.wrap("chown", name, unix.Fchownat(d.fd(), name, uid, gid, unix.AT_SYMLINK_NOFOLLOW))
}

// Chmod sets the permissions of name, including setuid, setgid and sticky. name must not be a symbolic link.
func (d Dir) Chmod(name string, mode uint32) error {
	err := unix.Fchmodat(d.fd(), name, mode, unix.AT_SYMLINK_NOFOLLOW) // fchmodat2(2), Linux 6.6
	if err != unix.EOPNOTSUPP {
		return d.wrap("chmod", name, err)
	}
	// Older kernels follow links in every call that takes a name, but not in one that takes a descriptor.
	fd, err := unix.Openat(d.fd(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return d.wrap("chmod", name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return d.wrap("chmod", name, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return d.wrap("chmod", name, unix.ELOOP)
	}
	return d.wrap("chmod", name, unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode))
}

// Chtime sets the access and modification times of name.
func (d Dir) Chtime(name string, t time.Time) error {
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return d.wrap("set the time of", name, err)
	}
	return d.wrap("set the time of", name, unix.UtimesNanoAt(d.fd(), name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
}

// entryPath is a path of name for system calls that take no descriptor. The call must not follow its last element.
func (d Dir) entryPath(name string) string { return FDPath(d.File) + "/" + name }

// SetXattr sets an extended attribute of name (xattr(7)).
func (d Dir) SetXattr(name, key string, value []byte) error {
	return d.wrap("set "+key+" of", name, unix.Lsetxattr(d.entryPath(name), key, value, 0))
}

// Xattrs returns the extended attributes of name, none if the file system does not support them.
func (d Dir) Xattrs(name string) (map[string][]byte, error) {
	path := d.entryPath(name)
	list := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Llistxattr(path, list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, d.wrap("list attributes of", name, err)
	}
	attrs := make(map[string][]byte)
	for _, key := range splitZero(list[:n]) {
		value := make([]byte, 64<<10) // XATTR_SIZE_MAX
		n, err := unix.Lgetxattr(path, key, value)
		if err != nil {
			return nil, d.wrap("get "+key+" of", name, err)
		}
		attrs[key] = value[:n]
	}
	return attrs, nil
}

// HasXattr reports whether name has the attribute with this value.
func (d Dir) HasXattr(name, key, value string) bool {
	buf := make([]byte, len(value)+1)
	n, err := unix.Lgetxattr(d.entryPath(name), key, buf)
	return err == nil && string(buf[:n]) == value
}

func splitZero(list []byte) []string {
	var words []string
	start := 0
	for i, c := range list {
		if c == 0 {
			words = append(words, string(list[start:i]))
			start = i + 1
		}
	}
	return words
}

// OpenDir opens the directory at path, which must be trusted, for reading.
func OpenDir(path string) (Dir, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return Dir{f}, err
}
