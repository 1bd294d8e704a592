package linux

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is a directory that paths of strangers are resolved beneath, by the kernel (openat2(2)), as
// chroot(2) would: "..", absolute links and links to links never lead out. What it returns are
// descriptors: nobody can swap what they mean between the check and the use.
type Root struct {
	dir *os.File
}

// OpenRoot opens the directory dir as a root.
func OpenRoot(dir string) (*Root, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &Root{os.NewFile(uintptr(fd), dir)}, nil
}

// Close closes the descriptor of the root.
func (r *Root) Close() error { return r.dir.Close() }

// Open opens what name means beneath the root; flags are those of open(2). The last element is
// followed when it is a link, unless flags has O_NOFOLLOW. Magic links (proc(5)) are refused.
func (r *Root) Open(name string, flags int) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(int(r.dir.Fd()), name, &how)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), path.Join(r.dir.Name(), name)), nil
		case unix.EINTR, unix.EAGAIN: // EAGAIN: a rename elsewhere raced with ".." (openat2(2))
			continue
		}
		return nil, &os.PathError{Op: "open", Path: path.Join(r.dir.Name(), name), Err: err}
	}
}

// MkdirAll makes the directory that name means beneath the root, with its parents, and opens it
// (O_PATH). Links on the way are followed beneath the root; new directories have the given mode.
func (r *Root) MkdirAll(name string, mode uint32) (*os.File, error) {
	dir, err := r.Open(".", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	done := "."
	for _, element := range strings.Split(path.Clean("/" + name)[1:], "/") {
		if element == "" {
			continue
		}
		done = path.Join(done, element)
		next, err := r.Open(done, unix.O_PATH|unix.O_DIRECTORY)
		if errors.Is(err, unix.ENOENT) {
			if err := unix.Mkdirat(int(dir.Fd()), element, mode); err != nil && err != unix.EEXIST {
				dir.Close()
				return nil, fmt.Errorf("mkdir %s: %w", path.Join(r.dir.Name(), done), err)
			}
			if next, err = r.Open(done, unix.O_PATH|unix.O_DIRECTORY); err == nil {
				err = wrap("mkdir "+next.Name(), unix.Chmod(FDPath(next), mode)) // whatever the umask
			}
		}
		dir.Close()
		if err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

// CreateFile makes an empty file where name means none beneath the root, with its parents, and
// opens it (O_PATH). What is there already stays as it is.
func (r *Root) CreateFile(name string, mode uint32) (*os.File, error) {
	file, err := r.Open(name, unix.O_PATH)
	if !errors.Is(err, unix.ENOENT) {
		return file, err
	}
	dir, err := r.MkdirAll(path.Dir(path.Clean("/"+name)), 0o755)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	// By way of the parent's descriptor, and O_EXCL with O_NOFOLLOW: a link put there meanwhile is an error.
	fd, err := unix.Openat(int(dir.Fd()), path.Base(name), unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_WRONLY, mode)
	if err != nil && err != unix.EEXIST {
		return nil, fmt.Errorf("make %s: %w", path.Join(r.dir.Name(), name), err)
	}
	if err == nil {
		err = unix.Fchmod(fd, mode) // whatever the umask
		unix.Close(fd)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", path.Join(r.dir.Name(), name), err)
		}
	}
	return r.Open(name, unix.O_PATH)
}

// Mknod makes a special file beneath the root (mknod(2)): its parent must be there, it must not.
func (r *Root) Mknod(name string, mode uint32, major, minor int64) error {
	dir, err := r.Open(path.Dir(path.Clean("/"+name)), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	dev := unix.Mkdev(uint32(major), uint32(minor))
	if err := unix.Mknodat(int(dir.Fd()), path.Base(name), mode, int(dev)); err != nil {
		return &os.PathError{Op: "mknod", Path: path.Join(r.dir.Name(), name), Err: err}
	}
	return nil
}

// Symlink makes a link beneath the root: its parent must be there, it must not.
func (r *Root) Symlink(target, name string) error {
	dir, err := r.Open(path.Dir(path.Clean("/"+name)), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Symlinkat(target, int(dir.Fd()), path.Base(name)); err != nil {
		return &os.PathError{Op: "symlink", Path: path.Join(r.dir.Name(), name), Err: err}
	}
	return nil
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
