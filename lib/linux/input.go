package linux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// OpenInput opens a file that a user or a document names for reading to its end: a regular file, a pipe that a shell
// passes as /dev/fd/N, or the null device. Other files may never end or block: a FIFO waits for a writer, and /dev/zero
// fills the memory.
func OpenInput(path string) (*os.File, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err = checkReadable(fd); err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

func checkReadable(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return unix.EISDIR
	case unix.S_IFIFO:
		var system unix.Statfs_t
		if err := unix.Fstatfs(fd, &system); err != nil || system.Type == unix.PIPEFS_MAGIC {
			return err
		}
		return errors.New("want a regular file or a pipe, not a FIFO")
	case unix.S_IFCHR:
		if st.Rdev == unix.Mkdev(1, 3) {
			return nil
		}
	}
	return errors.New("want a regular file or a pipe, not a device")
}

// ReadInput reads a file like [OpenInput]. More than limit bytes are an error.
func ReadInput(path string, limit int) ([]byte, error) {
	file, err := OpenInput(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := ReadLimited(file, limit)
	if err != nil {
		var e *fs.PathError
		if !errors.As(err, &e) {
			err = &fs.PathError{Op: "read", Path: path, Err: err}
		}
		return nil, err
	}
	return data, nil
}

// ReadLimited reads to the end. More than limit bytes are an error.
func ReadLimited(r io.Reader, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return data, err
	}
	if len(data) > limit {
		return nil, fmt.Errorf("longer than %d bytes", limit)
	}
	return data, nil
}
