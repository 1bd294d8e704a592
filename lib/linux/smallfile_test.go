package linux

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, size := range []int{0, 1, 4095, 4096, 4097, 16384, 100_000} {
		want := bytes.Repeat([]byte("x"), size)
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if got, err := ReadFile("/proc/self/stat"); err != nil || len(got) == 0 {
		t.Errorf("/proc/self/stat: %q, %v", got, err)
	}
	if _, err := ReadFile(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := ReadFile(filepath.Dir(path)); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("directory: %v", err)
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	defer syscall.Umask(syscall.Umask(0o777))
	for i, size := range []int{100_000, 1, 0} {
		want := bytes.Repeat([]byte("x"), size)
		mode := os.FileMode(0o600 + i)
		if err := WriteFile(path, want, uint32(mode)); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("mode %v: %v, %v", mode, info.Mode(), err)
		}
	}
	if err := WriteFile(filepath.Join(path, "x"), nil, 0o600); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("parent is a file: %v", err)
	}
	// EPERM: without root, fchmod(2) fails before the write.
	if err := WriteFile("/dev/full", []byte("x"), 0o666); !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EPERM) {
		t.Errorf("full disk: %v", err)
	}
}
