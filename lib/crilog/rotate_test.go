package crilog

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// writeLines writes numbered lines, from and up to.
func writeLines(t *testing.T, l *Log, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		must(t, l.Write("stdout", fmt.Appendf(nil, "line %d\n", i)))
	}
}

func readAll(t *testing.T, path string, o Options) []string {
	t.Helper()
	var out bytes.Buffer
	must(t, Read(context.Background(), path, o, &out, &out))
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=8k,max-file=3")
	must(t, err)
	writeLines(t, l, 0, 2000)
	must(t, l.Close())
	files := Files(path)
	if len(files) != 3 || files[0] != path+".2" || files[2] != path {
		t.Fatalf("%v", files)
	}
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.Size() > 8<<10 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	all := readAll(t, path, Options{Tail: -1})
	if all[len(all)-1] != "line 1999" || len(all) < 300 {
		t.Fatalf("%d lines, the last %q", len(all), all[len(all)-1])
	}
	for i, line := range all { // no line is missing between the files
		if want := fmt.Sprint("line ", 2000-len(all)+i); line != want {
			t.Fatalf("%q in place of %q", line, want)
		}
	}
	for _, n := range []int{0, 1, 50, 200, len(all), len(all) + 1} { // one file, two, three
		got := readAll(t, path, Options{Tail: n})
		if want := all[len(all)-min(n, len(all)):]; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("tail %d: %d lines from %q", n, len(got), got[0])
		}
	}
}

func TestOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=4k,max-file=1")
	must(t, err)
	writeLines(t, l, 0, 1000)
	must(t, l.Close())
	if got := readAll(t, path, Options{Tail: -1}); got[len(got)-1] != "line 999" || len(got) > 120 || len(Files(path)) != 1 {
		t.Errorf("%d lines in %v", len(got), Files(path))
	}
}

// TestFollowAcrossRotation: a follower misses no line, also in files that were renamed while it slept.
func TestFollowAcrossRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=16k,max-file=100")
	must(t, err)
	writeLines(t, l, 0, 10)
	var ended atomic.Bool
	var out bytes.Buffer
	done := make(chan error)
	go func() {
		done <- Read(context.Background(), path, Options{Tail: -1, Follow: true, Ended: ended.Load}, &out, &out)
	}()
	writeLines(t, l, 10, 20000)
	must(t, l.Close())
	ended.Store(true)
	must(t, <-done)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, line := range lines {
		if want := fmt.Sprint("line ", i); line != want {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if len(lines) != 20000 {
		t.Errorf("%d lines", len(lines))
	}
}

// TestRotationThatCannotBe: if a rotation fails, the log continues in the current file.
func TestRotationThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=4k,max-file=2")
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(TempFile(path), "in the way"), 0o700))
	writeLines(t, l, 0, 500)
	must(t, l.Close())
	if got := readAll(t, path, Options{Tail: -1}); len(got) != 500 {
		t.Errorf("%d lines", len(got))
	}
}

// TestRotationCutOff: a crash between two renames loses no line.
func TestRotationCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=4k,max-file=3")
	must(t, err)
	writeLines(t, l, 0, 150)
	must(t, l.Close())
	before := readAll(t, path, Options{Tail: -1})
	must(t, os.Rename(path+".1", path+".2"))
	must(t, os.Rename(path, path+".1"))
	if got := readAll(t, path, Options{Tail: -1}); strings.Join(got, " ") != strings.Join(before, " ") {
		t.Errorf("%d lines of %d", len(got), len(before))
	}
	if got := readAll(t, path, Options{Tail: 5}); len(got) != 5 || got[4] != "line 149" {
		t.Errorf("%q", got)
	}
	l, err = Open(path, "max-size=4k,max-file=3")
	must(t, err)
	writeLines(t, l, 150, 151)
	must(t, l.Close())
	if got := readAll(t, path, Options{Tail: 2}); len(got) != 2 || got[1] != "line 150" {
		t.Errorf("%q", got)
	}
}

// TestLargeBatch: a program that writes much at once does not make the files longer, and no line is lost or cut.
func TestLargeBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=16k,max-file=100")
	must(t, err)
	must(t, l.Write("stdout", bytes.Repeat([]byte("yes\n"), 10000)))
	must(t, l.Close())
	for _, name := range Files(path) {
		if info, err := os.Stat(name); err != nil || info.Size() > 16<<10 {
			t.Errorf("%s: %d bytes, %v", name, info.Size(), err)
		}
	}
	if got := readAll(t, path, Options{Tail: -1}); len(got) != 10000 {
		t.Errorf("%d lines", len(got))
	}
}
