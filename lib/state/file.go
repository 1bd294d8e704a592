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

// WriteFile replaces the file at path as a whole: after a crash it has the old content or the new one, never a part.
// Missing directories are made with mode 0700. If the disk is full, a small file is overwritten in place, so that a
// container can still end and be removed.
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

// WriteJSON writes v to path like [WriteFile], indented.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return WriteFile(path, append(data, '\n'), 0o600)
}

// WriteVolatile writes v like [WriteJSON], but does not wait for the disk. It is for what means nothing after a reboot,
// and for what [Dir.Persist] syncs later.
func WriteVolatile(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return WriteFileVolatile(path, append(data, '\n'))
}

// WriteFileVolatile is [WriteVolatile] for data that is already encoded. Two processes must not write the same file at
// the same time.
func WriteFileVolatile(path string, data []byte) error {
	tmp := filepath.Join(filepath.Dir(path), TempPrefix+filepath.Base(path))
	if err := writeMakingDir(tmp, data); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := syscall.Rename(tmp, path); err != nil { // not os.Rename, which calls lstat(2) first
		os.Remove(tmp)
		return err
	}
	return nil
}

// writeMakingDir writes a file, and makes its directory if that is missing.
func writeMakingDir(path string, data []byte) error {
	err := linux.WriteFile(path, data, 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return linux.WriteFile(path, data, 0o600)
}

// WriteOver writes a file of a container. If a directory is in its place, it removes the directory and writes again:
// none of our programs makes one there, and it must not keep a container from ending or being removed.
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

// ReadJSON reads the file at path into v. The error wraps fs.ErrNotExist if there is none.
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

// full reports whether the disk, or this user's quota, is full.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// smallFileSize is the size in bytes of one block on nearly every file system.
const smallFileSize = 4 << 10

// overwrite writes data into the one block that the file at path already has, which needs no free space, by one
// write(2). Data shorter than the old content is padded with blanks, which JSON allows, and the file is truncated
// afterwards.
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

// fill writes a new file, syncs it and closes it.
func fill(f *os.File, data []byte, perm os.FileMode) error {
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
