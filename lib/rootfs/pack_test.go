package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// mine returns the ids of the test's user.
func mine() *[2]int { return &[2]int{os.Getuid(), os.Getgid()} }

func unpackTo(t *testing.T, dir string, archive []byte, change func(*Unpacking)) error {
	t.Helper()
	root, err := linux.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	u := Unpacking{Root: root, Base: "/", Owner: mine()}
	if change != nil {
		change(&u)
	}
	_, err = u.Unpack(context.Background(), bytes.NewReader(archive))
	return err
}

func TestPackAndUnpack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	old := time.Unix(1e9, 0)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(from, "a/b"), 0o755))
	must(os.WriteFile(filepath.Join(from, "a/b/file"), []byte("content"), 0o640))
	must(os.Link(filepath.Join(from, "a/b/file"), filepath.Join(from, "a/hard")))
	must(os.Symlink("b/file", filepath.Join(from, "a/link")))
	must(os.Chtimes(filepath.Join(from, "a/b"), old, old))
	dir, err := linux.OpenDir(from)
	must(err)
	defer dir.Close()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	must(Pack(context.Background(), w, dir, "a", "new", Owners{}))
	must(w.Close())
	must(unpackTo(t, to, archive.Bytes(), nil))
	if data, err := os.ReadFile(filepath.Join(to, "new/link")); err != nil || string(data) != "content" {
		t.Errorf("link: %q, %v", data, err)
	}
	one, _ := os.Stat(filepath.Join(to, "new/b/file"))
	two, _ := os.Stat(filepath.Join(to, "new/hard"))
	if !os.SameFile(one, two) || one.Mode().Perm() != 0o640 {
		t.Errorf("hard link or mode: %v, %v", one.Mode(), two.Mode())
	}
	if info, _ := os.Stat(filepath.Join(to, "new/b")); !info.ModTime().Equal(old) {
		t.Errorf("time of the directory: %v", info.ModTime())
	}
	must(unpackTo(t, to, archive.Bytes(), nil)) // over itself
}

// packed returns an archive with these headers. The content of a regular file is its name.
func packed(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = w.Write([]byte(h.Name)) // a buffer returns no error
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpackStaysBeneathRoot(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	err := unpackTo(t, dir, packed(t,
		tar.Header{Name: "../up", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "../.."},
		tar.Header{Name: "out/through", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "abs", Typeflag: tar.TypeSymlink, Linkname: top},
		tar.Header{Name: "over", Typeflag: tar.TypeSymlink, Linkname: filepath.Join(top, "written")},
		tar.Header{Name: "over", Typeflag: tar.TypeReg, Mode: 0o4755},
		tar.Header{Name: "implied/file", Typeflag: tar.TypeReg, Mode: 0o644},
	), func(u *Unpacking) { u.Data = true })
	if err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(top); len(entries) != 1 {
		t.Errorf("outside: %v", entries)
	}
	for _, name := range []string{"up", "through", "over", "implied/file"} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() || info.Mode()&os.ModeSetuid != 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestUnpackKeepsKinds(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		header tar.Header
		want   string
	}{
		{tar.Header{Name: "dir", Typeflag: tar.TypeReg}, "/dir: cannot overwrite a directory with a file"},
		{tar.Header{Name: "file/", Typeflag: tar.TypeDir}, "/file: cannot overwrite a file with a directory"},
		{tar.Header{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o777}, ""},
	} {
		err := unpackTo(t, dir, packed(t, tt.header), nil)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.header.Name, err, tt.want)
		}
	}
	if info, _ := os.Stat(filepath.Join(dir, "dir")); info.Mode().Perm() != 0o700 {
		t.Errorf("an existing directory changed: %v", info.Mode())
	}
}

// TestUnpackTypes checks that a contiguous file is a regular file, and that an unknown type is found before it replaces
// anything. Sparse files of GNU tar are in scripts/test/28-verbs.bats.
func TestUnpackTypes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, tt := range []struct {
		kind byte
		want string
	}{
		{tar.TypeCont, ""},
		{'Z', "unpack \"file\": unknown type 'Z'"},
	} {
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := unpackTo(t, filepath.Dir(path), packed(t, tar.Header{Name: "file", Typeflag: tt.kind, Mode: 0o644}), nil)
		content, readErr := os.ReadFile(path)
		if tt.want == "" && (err != nil || readErr != nil || len(content) > 0) {
			t.Errorf("%q: %v, %v, %q", tt.kind, err, readErr, content)
		}
		if tt.want != "" && (err == nil || err.Error() != tt.want || string(content) != "old") {
			t.Errorf("%q: %v, want %q; %v, %q", tt.kind, err, tt.want, readErr, content)
		}
	}
}

func TestOwners(t *testing.T) {
	o := Owners{UIDs: []linux.IDMap{{Inside: 0, Outside: 1000, Size: 10}}}
	if got := inside(o.UIDs, 1005); got != 5 {
		t.Errorf("inside: %d", got)
	}
	if got := inside(o.UIDs, 5); got != 65534 {
		t.Errorf("not mapped: %d", got)
	}
	if got := o.Root(); *got != [2]int{1000, 0} {
		t.Errorf("root: %v", *got)
	}
	if _, err := outside(o.UIDs, 10); err == nil {
		t.Error("id 10 is mapped")
	}
}
