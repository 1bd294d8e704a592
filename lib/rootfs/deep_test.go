package rootfs

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/weikeit/mydocker/lib/linux"
)

// TestCopyDeepTree copies a tree whose paths exceed PATH_MAX, with hard links at the bottom.
func TestCopyDeepTree(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	t.Cleanup(func() { // TempDir's cleanup needs a descriptor for each level
		for _, dir := range []string{from, to} {
			_ = linux.RemoveAll(filepath.Join(dir, "directory"))
		}
	})
	at, err := linux.OpenDir(from)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	way := linux.NewDescent(at)
	defer way.Close()
	const depth = 700 // of 10 bytes each: PATH_MAX is 4096
	for range depth {
		if err := way.Dir().Mkdir("directory"); err != nil {
			t.Fatal(err)
		}
		if err := way.Enter("directory"); err != nil {
			t.Fatal(err)
		}
	}
	file, err := way.Dir().CreateFile("one")
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString("content")
	file.Close()
	if err == nil {
		err = way.Dir().Link(way.Dir(), "one", "two")
	}
	if err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) })
	if err := copyTree(context.Background(), from, to, false); err != nil {
		t.Fatal(err)
	}
	var dirs, files int
	linux.Walk(to, func(st *linux.Stat) {
		if st.Size == int64(len("content")) && st.Mode&0o170000 == 0o100000 {
			files++
		} else {
			dirs++
		}
	})
	if dirs != depth+1 || files != 2 {
		t.Errorf("%d directories and %d files were copied", dirs, files)
	}
	if _, err := os.Stat(filepath.Join(to, "directory")); err != nil {
		t.Error(err)
	}
}
