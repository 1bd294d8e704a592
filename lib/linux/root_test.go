package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// openTestRoot returns a root beside a directory that must not be reached.
func openTestRoot(t *testing.T) (r *Root, dir, outside string) {
	t.Helper()
	top := t.TempDir()
	dir, outside = filepath.Join(top, "root"), filepath.Join(top, "outside")
	for _, name := range []string{dir, outside} {
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"up": "../outside", "far": strings.Repeat("../", 50) + outside, "absolute": outside, "chain": "absolute", "root": "/", "ring": "ring",
		"magic": "/proc/self/cwd", "dangling": "/made/later",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, dir, outside
}

func TestPathsStayInRoot(t *testing.T) {
	r, dir, outside := openTestRoot(t)
	paths := []string{
		"up/secret", "far/secret", "absolute/secret", "chain/secret", "../outside/secret", "/../outside/secret", "root/../outside/secret",
		"root/up/secret", outside + "/secret", "up", "absolute", "ring",
	}
	for _, path := range paths {
		if f, err := r.Open(path, OPath); err == nil {
			t.Errorf("%s was opened as %s", path, f.Name())
			f.Close()
		}
	}
	for _, path := range paths {
		if f, err := r.MkdirAll(path, 0o700); err == nil {
			f.Close()
		}
		if f, err := r.CreateFile(path+"/file", 0o600); err == nil {
			f.Close()
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("files outside: %v, %v", entries, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 2 {
		t.Errorf("files beside the root: %v, %v", entries, err)
	}
}

func TestLinksResolveInsideRoot(t *testing.T) {
	r, dir, _ := openTestRoot(t)
	f, err := r.MkdirAll("root/a/../b", 0o751) // the path is cleaned, like a destination in a document
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if info, err := os.Stat(filepath.Join(dir, "b")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v %v", info, err)
	}
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	f, err = r.CreateFile("/root/c/d/file", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := os.Stat(filepath.Join(dir, "c/d/file")); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "c/d/file"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := r.CreateFile("root/root/c/d/file", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if data, err := os.ReadFile(FDPath(again)); string(data) != "kept" {
		t.Errorf("%q, %v", data, err)
	}
	d, err := r.MkdirAll("c/e/g", 0o750)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if info, err := os.Stat(filepath.Join(dir, "c/e")); err != nil || info.Mode() != fs.ModeDir|0o750 {
		t.Errorf("with a umask: %v, %v", info, err)
	}
}

func TestRootRefuses(t *testing.T) {
	r, dir, _ := openTestRoot(t)
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"directory below a file":       func() error { _, err := r.MkdirAll("file/x", 0o755); return err },
		"directory in a link loop":     func() error { _, err := r.MkdirAll("ring/x", 0o755); return err },
		"directory in a dangling link": func() error { _, err := r.MkdirAll("dangling/x", 0o755); return err },
		"file at a dangling link":      func() error { _, err := r.CreateFile("dangling", 0o600); return err },
		"long name":                    func() error { _, err := r.MkdirAll(strings.Repeat("n", 300), 0o755); return err },
		"missing root":                 func() error { _, err := OpenRoot(dir + "/nothing"); return err },
		"root is a file":               func() error { _, err := OpenRoot(dir + "/file"); return err },
	} {
		if try() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestMagicLinks: the links in /proc lead to open files anywhere.
func TestMagicLinks(t *testing.T) {
	r, err := OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, path := range []string{"/proc/self/cwd", "/proc/self/root/etc", "/proc/self/fd/0", "/proc/self/exe"} {
		if f, err := r.Open(path, OPath); !errors.Is(err, syscall.ELOOP) {
			t.Errorf("%s: %v", path, err)
			if err == nil {
				f.Close()
			}
		}
	}
}
