package linux

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Package os tries to poll each file that it opens, which takes five more system calls. These functions do not; they
// are for files that do not block, such as records and those of procfs and cgroupfs.

// ReadFile is os.ReadFile.
func ReadFile(path string) ([]byte, error) {
	return ReadUntil(path, func([]byte) bool { return false })
}

// ReadUntil is [ReadFile], but stops when enough returns true.
func ReadUntil(path string, enough func(data []byte) bool) ([]byte, error) {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	data := make([]byte, 0, 4096)
	for {
		n, err := unix.Read(fd, data[len(data):cap(data)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return data, nil
		}
		if data = data[:len(data)+n]; enough(data) {
			return data, nil
		}
		if len(data) == cap(data) {
			data = append(data, make([]byte, 3*len(data))...)[:len(data)]
		}
	}
}

// ReadStart reads the start of a file into room by one read(2). whole reports that this was all of the file. The kernel
// returns a small file, of a disk or of /proc, in one piece.
func ReadStart(path string, room []byte) (data []byte, whole bool, err error) {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, false, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, room)
	for err == unix.EINTR {
		n, err = unix.Read(fd, room)
	}
	if err != nil {
		return nil, false, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return room[:n], n < len(room), nil
}

// Record is a buffer larger than nearly all records, in bytes.
type Record [1024]byte

// Read is [ReadFile]. The data is valid until the next Read.
func (r *Record) Read(path string) ([]byte, error) {
	data, whole, err := ReadStart(path, r[:])
	if err == nil && !whole {
		data, err = ReadFile(path)
	}
	return data, err
}

// ReadRecord is [Record.Read] with a new buffer.
func ReadRecord(path string) ([]byte, error) { return new(Record).Read(path) }

// WriteFile is os.WriteFile with the given mode regardless of the umask.
func WriteFile(path string, data []byte, mode uint32) error {
	fd, err := open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, mode)
	if err != nil {
		return err
	}
	for err = unix.Fchmod(fd, mode); err == nil && len(data) > 0; {
		var n int
		if n, err = unix.Write(fd, data); err == unix.EINTR {
			n, err = 0, nil
		}
		data = data[max(n, 0):]
	}
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// WriteSysctl writes an existing kernel file by plain system calls (see [ReadFile]).
func WriteSysctl(path, value string) error {
	fd, err := open(path, unix.O_WRONLY|unix.O_TRUNC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

func open(path string, flags int, mode uint32) (fd int, err error) {
	for err = unix.EINTR; err == unix.EINTR; {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC, mode)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}
