package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// WriteFile replaces the file at path as a whole: after a crash there is the old content or the new
// one, never a part. Missing directories are made, closed to others than root. Where the disk is full, a small
// file is written over where it lies, so that the end of a container can be noted, and the container removed.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := writeTemp(dir, data, perm)
	if full(err) && overwrite(path, data) == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return syncFile(dir)
}

// WriteJSON writes v to path as [WriteFile] does, indented for people.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return WriteFile(path, append(data, '\n'), 0o600)
}

// WriteVolatile writes v as [WriteJSON] does, but does not wait for the disk: for what means nothing
// after a reboot, and for what [Dir.Persist] waits for.
func WriteVolatile(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return WriteFileVolatile(path, append(data, '\n'))
}

// WriteFileVolatile is [WriteVolatile] for what is JSON, or text, already. Two must not write one file at the
// same time.
func WriteFileVolatile(path string, data []byte) error {
	tmp := filepath.Join(filepath.Dir(path), TempPrefix+filepath.Base(path))
	err := linux.WriteFile(tmp, data, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = linux.WriteFile(tmp, data, 0o600)
		}
	}
	if err == nil {
		err = syscall.Rename(tmp, path) // os.Rename looks first whether it would replace a directory
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

// WriteOver writes a file of a container, and once more where a directory was in its place, which no program of ours
// makes: it must not keep a container from ending, nor from being removed.
func WriteOver(path string, write func(path string) error) error {
	err := write(path)
	if err == nil {
		return nil
	}
	if info, statErr := os.Lstat(path); statErr != nil || !info.IsDir() || os.RemoveAll(path) != nil {
		return err
	}
	return write(path)
}

// ReadJSON reads the file at path into v. The error wraps fs.ErrNotExist where there is none.
func ReadJSON(path string, v any) error {
	data, err := linux.ReadRecord(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeTemp(dir string, data []byte, perm os.FileMode) (string, error) {
	f, err := os.CreateTemp(dir, TempPrefix)
	if err != nil {
		return "", err
	}
	if err := fill(f, data, perm); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// full reports whether an error is that there is no room on the disk, or none for this user.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// smallFileSize is what the smallest file takes on the disk with nearly every file system.
const smallFileSize = 4 << 10

// overwrite writes what fits into the one block that the file at path has, which needs no room, by one write(2): a
// disk writes so little at once. What was longer ends with blanks, which JSON allows, and is cut off then.
func overwrite(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() == 0 || info.Size() > smallFileSize || len(data) > smallFileSize:
		return syscall.ENOSPC
	}
	padded := append(slices.Clone(data), bytes.Repeat([]byte{' '}, max(0, int(info.Size())-len(data)))...)
	if _, err := f.WriteAt(padded, 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(data))); err != nil {
		return err
	}
	return f.Sync()
}

// fill writes a new file to the disk, and closes it.
func fill(f *os.File, data []byte, perm os.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
