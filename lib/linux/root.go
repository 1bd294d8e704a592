package linux

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is a directory in which the kernel resolves untrusted paths (openat2(2)) as after chroot(2): "..", absolute
// links and chains of links never lead out. It returns descriptors, so that a path cannot be swapped between check and
// use.
type Root struct {
	dir *os.File
}

// OpenRoot opens a directory as a root.
func OpenRoot(dir string) (*Root, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &Root{os.NewFile(uintptr(fd), dir)}, nil
}

// Close closes the descriptor of the root.
func (r *Root) Close() error { return r.dir.Close() }

// Open opens a path beneath the root with flags of open(2). A final symbolic link is followed unless flags has
// O_NOFOLLOW. Magic links (proc(5)) are refused.
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

// MkdirAll makes a directory beneath the root, with its parents, and opens it (O_PATH). Links are followed beneath the
// root. New directories get the given mode.
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
				err = wrap("mkdir "+next.Name(), unix.Chmod(FDPath(next), mode)) // regardless of the umask
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

// CreateFile makes an empty file beneath the root, with its parents, and opens it (O_PATH). An existing file is not
// changed.
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
	// Relative to the open parent and with O_EXCL and O_NOFOLLOW: a link created in between is an error.
	fd, err := unix.Openat(int(dir.Fd()), path.Base(name), unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_WRONLY, mode)
	if err != nil && err != unix.EEXIST {
		return nil, fmt.Errorf("make %s: %w", path.Join(r.dir.Name(), name), err)
	}
	if err == nil {
		err = unix.Fchmod(fd, mode) // regardless of the umask
		unix.Close(fd)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", path.Join(r.dir.Name(), name), err)
		}
	}
	return r.Open(name, unix.O_PATH)
}

// OpenRegular opens a regular file beneath the root for reading. Other files are an error and are never opened: opening
// a device or a FIFO has effects.
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
