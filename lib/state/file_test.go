package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// read returns the content of a file, or its error as text.
func read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// names lists a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestWriteFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "file")
	for _, text := range []string{"long content", "short", ""} {
		must(t, WriteFile(path, []byte(text), 0o640))
		if got := read(path); got != text || names(t, dir) != "file" {
			t.Errorf("%q in %s", got, names(t, dir))
		}
	}
	for path, mode := range map[string]fs.FileMode{path: 0o640, dir: fs.ModeDir | 0o700, filepath.Dir(dir): fs.ModeDir | 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// TestFailedWriteKeepsOldContent fails each step of a write in turn.
func TestFailedWriteKeepsOldContent(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	must(t, os.MkdirAll(filepath.Join(taken, "inside"), 0o700)) // rename(2) cannot replace it
	file := filepath.Join(dir, "file")
	must(t, WriteFile(file, []byte("old"), 0o600))
	tests := []struct {
		name  string
		write func() error
	}{
		{"target is a directory", func() error { return WriteFile(taken, []byte("new"), 0o600) }},
		{"parent is a file", func() error { return WriteFile(filepath.Join(file, "x"), []byte("new"), 0o600) }},
		{"not encodable", func() error { return WriteJSON(file, func() {}) }},
		{"not encodable, volatile", func() error { return WriteVolatile(file, func() {}) }},
		{"target is a directory, volatile", func() error { return WriteVolatile(taken, 1) }},
		{"parent is a file, volatile", func() error { return WriteVolatile(filepath.Join(file, "x"), 1) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.write(); err == nil {
				t.Error("no error")
			}
			if read(file) != "old" || names(t, taken) != "inside" || names(t, dir) != "file taken" {
				t.Errorf("%q, %s, %s", read(file), names(t, taken), names(t, dir))
			}
		})
	}
}

// TestReadersSeeWholeFile: a reader during writes gets the whole of one version.
func TestReadersSeeWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for name, write := range map[string]func(string) error{
		"durable":  func(text string) error { return WriteFile(path, []byte(text), 0o600) },
		"volatile": func(text string) error { return WriteVolatile(path, text) },
	} {
		t.Run(name, func(t *testing.T) {
			must(t, write(strings.Repeat("a", 9000)))
			size := len(read(path))
			var done atomic.Bool
			go func() {
				defer done.Store(true)
				for i := range 100 {
					if err := write(strings.Repeat(string(rune('a'+i%26)), 9000)); err != nil {
						t.Error(err)
					}
				}
			}()
			for !done.Load() {
				got := read(path)
				if letter := strings.Trim(got, "\"\n"); len(got) != size || strings.Count(letter, letter[:1]) != 9000 {
					t.Fatalf("%d bytes: %.20q…", len(got), got)
				}
			}
		})
	}
}

func TestJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	var got Spawn
	if err := ReadJSON(path, &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	must(t, WriteJSON(path, Spawn{ExitCode: 7}))
	must(t, ReadJSON(path, &got))
	if got.ExitCode != 7 || !strings.HasSuffix(read(path), "\n}\n") {
		t.Errorf("%+v from %q", got, read(path))
	}
	must(t, os.WriteFile(path, []byte(`{"exitCode":`), 0o600))
	if err := ReadJSON(path, &got); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("torn file: %v", err)
	}
}

// TestOverwrite: a file overwritten in place has all of the new content, be it shorter or longer.
func TestOverwrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, tt := range []struct {
		old, now string
		ok       bool
	}{
		{`{"a": 1}`, `{"a": 1, "b": 2}`, true}, {`{"a": 1, "b": 2}`, `{}`, true},
		{"", "{}", false}, {"{}", strings.Repeat(" ", smallFileSize+1), false}, {strings.Repeat(" ", smallFileSize+1), "{}", false},
	} {
		must(t, os.WriteFile(path, []byte(tt.old), 0o600))
		err := overwrite(path, []byte(tt.now))
		want := tt.old
		if tt.ok {
			want = tt.now
		}
		if (err == nil) != tt.ok || read(path) != want {
			t.Errorf("%.20q to %.20q: %v, %.20q", tt.old, tt.now, err, read(path))
		}
	}
	if overwrite(path+"-missing", []byte("{}")) == nil || full(os.ErrNotExist) || !full(&os.PathError{Err: syscall.ENOSPC}) {
		t.Error("missing file, or unrelated error")
	}
}
