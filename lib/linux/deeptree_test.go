package linux

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// makeDeepTree makes a tree in which each directory has a file and the next directory.
func makeDeepTree(t *testing.T, top string, depth int) {
	t.Helper()
	if err := os.Mkdir(top, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := OpenDir(top)
	for range depth {
		if err == nil {
			err = unix.Mknodat(dir.fd(), "file", unix.S_IFREG|0o600, 0)
		}
		if err == nil {
			err = dir.Mkdir("directory")
		}
		if err != nil {
			t.Fatal(err)
		}
		var next Dir
		next, err = dir.OpenDir("directory")
		dir.Close()
		dir = next
	}
	if err != nil {
		t.Fatal(err)
	}
	dir.Close()
}

// limitOpenFiles lowers the limit on open files during the test.
func limitOpenFiles(t *testing.T) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) })
}

// TestDeepTrees walks and removes a tree deeper than PATH_MAX and than the limit on open files.
func TestDeepTrees(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top")
	const depth = 1500
	makeDeepTree(t, top, depth)
	limitOpenFiles(t)
	files := 0
	Walk(top, func(*Stat) { files++ })
	if want := 1 + 2*depth; files != want {
		t.Errorf("found %d files, want %d", files, want)
	}
	if err := RemoveAll(top); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(top); !os.IsNotExist(err) {
		t.Errorf("tree still exists: %v", err)
	}
	if err := RemoveAll(top); err != nil {
		t.Errorf("missing tree: %v", err)
	}
}

// TestRemoveFlatNames: a directory moved to the top does not replace an existing name, and no link is followed.
func TestRemoveFlatNames(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	top := filepath.Join(dir, "top")
	makeDeepTree(t, top, 3*maxOpenLevels)
	for _, name := range []string{".removed-1", ".removed-2"} {
		if err := os.WriteFile(filepath.Join(top, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	deep := filepath.Join(top, strings.Repeat("directory/", 2*maxOpenLevels))
	if err := os.Symlink(dir, filepath.Join(deep, "link")); err != nil {
		t.Fatal(err)
	}
	if err := RemoveAll(top); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(victim); err != nil {
		t.Error(err)
	}
}

// TestDescentDetectsMove: after a move, the new parent is not mistaken for the old one.
func TestDescentDetectsMove(t *testing.T) {
	dir := t.TempDir()
	top := filepath.Join(dir, "top")
	makeDeepTree(t, top, 4)
	at, err := OpenDir(top)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	d := NewNarrowDescent(at)
	defer d.Close()
	for range 3 {
		if err := d.Enter("directory"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(top, "directory/directory"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := d.Leave(); err != nil {
		t.Fatal(err)
	}
	if err := d.Leave(); err == nil || !strings.Contains(err.Error(), "moved") {
		t.Errorf("Leave returned to %s, %v", d.Dir().Name(), err)
	}
}
