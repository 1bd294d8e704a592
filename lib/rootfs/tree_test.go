package rootfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

func TestIsTree(t *testing.T) {
	for ref, want := range map[string]bool{
		"-": true, ".": true, "..": true, "/srv/root": true, "./x.tar": true, "../x": true,
		"busybox": false, "library/busybox": false, "a.b/c": false, "x.tar": false, "": false,
	} {
		if got := IsTree(ref); got != want {
			t.Errorf("IsTree(%q) = %v, want %v", ref, got, want)
		}
	}
}

// archiveOf returns a compressed archive with a file and a link that points outside.
func archiveOf(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	must(t, w.WriteHeader(&tar.Header{Name: "etc/motd", Typeflag: tar.TypeReg, Mode: 0o640, Size: 2}))
	_, err := w.Write([]byte("hi"))
	must(t, err)
	must(t, w.WriteHeader(&tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "../../.."}))
	must(t, w.Close())
	must(t, z.Close())
	return out.Bytes()
}

func TestTreeAsRoot(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	mustWrite(t, filepath.Join(dir, "etc/motd"), "hi", 0o640)
	archive := filepath.Join(t.TempDir(), "root.tgz")
	mustWrite(t, archive, string(archiveOf(t)), 0o600)
	h.In = bytes.NewReader(archiveOf(t))
	for _, ref := range []string{dir, archive, "-"} {
		s := spec.New(state.NewID())
		must(t, h.Mount(Options{}, ref, nil)(context.Background(), s))
		if got := read(s.Root.Path, "etc/motd"); got != "hi" {
			t.Errorf("%s: etc/motd = %q", ref, got)
		}
		if got := strings.Join(s.Process.Args, " "); got != "sh" {
			t.Errorf("%s: program %q, want sh", ref, got)
		}
		mustWrite(t, filepath.Join(s.Root.Path, "new"), "", 0o600)
		must(t, h.Unmount(context.Background(), s.ID()))
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("the container wrote into the directory itself")
	}
	if left := h.leaks(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestInvalidTrees(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	torn := filepath.Join(t.TempDir(), "torn.tgz")
	mustWrite(t, torn, string(archiveOf(t)[:60]), 0o600)
	for _, ref := range []string{"/nonexistent", "./nonexistent", "/dev/null", torn, "-"} {
		err := h.Mount(Options{Identity: Identity{Name: "tree"}}, ref, nil)(context.Background(), spec.New(state.NewID()))
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line", ref, err)
		}
		if left := h.leaks(); len(left) > 0 {
			t.Errorf("%s: left behind: %q", ref, left)
		}
	}
}
