package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// requireRoot skips a test that needs root, or fails it if MYDOCKER_MUST_RUN is set.
func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("MYDOCKER_MUST_RUN") != "" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

// entry is a tar header with content.
type entry struct {
	name, link, content string
	kind                byte
	mode                int64
	uid                 int
	pax                 map[string]string
	major, minor        int64
}

var testTime = time.Unix(1500000000, 0)

// tarOf returns an archive. The files belong to the user that runs the test.
func tarOf(entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: e.mode, Size: int64(len(e.content)),
			Uid: os.Geteuid() + e.uid, Gid: os.Getegid(), ModTime: testTime, PAXRecords: e.pax, Devmajor: e.major, Devminor: e.minor}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		io.WriteString(w, e.content)
	}
	w.Close()
	return b.Bytes()
}

func dir(name string) entry           { return entry{name: name, kind: tar.TypeDir} }
func file(name, content string) entry { return entry{name: name, content: content} }
func symlink(name, to string) entry   { return entry{name: name, link: to, kind: tar.TypeSymlink} }
func hardlink(name, to string) entry  { return entry{name: name, link: to, kind: tar.TypeLink} }

// unpackInto unpacks an archive with the lower layers lower.
func unpackInto(t testing.TB, to string, archive []byte, lower ...string) error {
	t.Helper()
	u, err := newUnpacker(context.Background(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	if err := u.extract(bytes.NewReader(archive)); err != nil {
		return err
	}
	return u.finish(func() ([]string, error) { return lower, nil })
}

// tree lists the files in a directory, with kind or content.
func tree(t testing.TB, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, _ := filepath.Rel(root, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		switch {
		case IsWhiteout(st.Mode, st.Rdev):
			fmt.Fprintf(&b, "%s gone\n", name)
		case info.Mode().IsRegular():
			content, _ := os.ReadFile(path)
			fmt.Fprintf(&b, "%s=%s\n", name, content)
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			fmt.Fprintf(&b, "%s->%s\n", name, to)
		default:
			fmt.Fprintf(&b, "%s %v\n", name, info.Mode().Type())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestUnpack(t *testing.T) {
	for name, c := range map[string]struct {
		entries []entry
		want    string
	}{
		"plain":                 {[]entry{dir("a"), file("a/b", "1"), symlink("a/c", "/b")}, "a d---------\na/b=1\na/c->/b\n"},
		"no directory entries":  {[]entry{file("a/b/c", "1")}, "a d---------\na/b d---------\na/b/c=1\n"},
		"absolute name":         {[]entry{file("/a", "1")}, "a=1\n"},
		"name with ..":          {[]entry{file("../../a", "1"), file("b/../../c", "2")}, "a=1\nc=2\n"},
		"trailing slash":        {[]entry{{name: "a/", kind: tar.TypeDir}}, "a d---------\n"},
		"root":                  {[]entry{{name: "./", kind: tar.TypeDir}, file("./a", "1")}, "a=1\n"},
		"through a link within": {[]entry{dir("usr"), dir("usr/lib"), symlink("lib", "usr/lib"), file("lib/x", "1")}, "lib->usr/lib\nusr d---------\nusr/lib d---------\nusr/lib/x=1\n"},
		"absolute link is within": {[]entry{dir("etc"), symlink("e", "/etc"), file("e/passwd", "1")},
			"e->/etc\netc d---------\netc/passwd=1\n"},
		"link up is within": {[]entry{dir("etc"), symlink("e", "../../../../etc"), file("e/passwd", "1")},
			"e->../../../../etc\netc d---------\netc/passwd=1\n"},
		"chain of links": {[]entry{dir("d"), symlink("a", "/b"), symlink("b", "../c"), symlink("c", "d"), file("a/x", "1")},
			"a->/b\nb->../c\nc->d\nd d---------\nd/x=1\n"},
		"file over link":      {[]entry{file("v", "1"), symlink("a", "v"), file("a", "2")}, "a=2\nv=1\n"},
		"directory over link": {[]entry{dir("d"), symlink("a", "d"), dir("a"), file("a/x", "1")}, "a d---------\na/x=1\nd d---------\n"},
		"link over directory": {[]entry{dir("a"), file("a/x", "1"), symlink("a", "b")}, "a->b\n"},
		"link over directory in use": {[]entry{dir("d"), file("d/a", "1"), dir("e"), symlink("d", "e"), file("d/x", "2")},
			"d->e\ne d---------\ne/x=2\n"},
		"file over directory":       {[]entry{file("a/x", "1"), file("a", "2")}, "a=2\n"},
		"directory again":           {[]entry{dir("a"), file("a/x", "1"), dir("a")}, "a d---------\na/x=1\n"},
		"hard link":                 {[]entry{file("a", "1"), hardlink("b", "a")}, "a=1\nb=1\n"},
		"hard link, absolute":       {[]entry{file("a", "1"), hardlink("b", "/../a")}, "a=1\nb=1\n"},
		"hard link to itself":       {[]entry{file("a", "1"), hardlink("a", "a")}, "a=1\n"},
		"hard link to a link":       {[]entry{symlink("a", "/etc/passwd"), hardlink("b", "a")}, "a->/etc/passwd\nb->/etc/passwd\n"},
		"hard link before its file": {[]entry{hardlink("b", "a"), file("a", "1")}, "a=1\nb=1\n"},
		"hard link, name taken":     {[]entry{hardlink("b", "a"), file("b", "2"), file("a", "1")}, "a=1\nb=2\n"},
		"hard link over a file":     {[]entry{file("a", "1"), file("b", "2"), hardlink("b", "a")}, "a=1\nb=1\n"},
		"fifo":                      {[]entry{{name: "p", kind: tar.TypeFifo}}, "p p---------\n"},
		"whiteout":                  {[]entry{dir("d"), file("d/.wh.x", "")}, "d d---------\nd/x gone\n"},
		"whiteout before its file":  {[]entry{file(".wh.x", ""), file("x", "1")}, "x=1\n"},
		"whiteout after its file":   {[]entry{file("x", "1"), file(".wh.x", "")}, "x=1\n"},
		"aufs metadata":             {[]entry{file(".wh..wh.aufs", ""), dir(".wh..wh.plnk")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			outside := t.TempDir()
			to := filepath.Join(outside, "1", "2", "fs")
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unpackInto(t, to, tarOf(c.entries...)); err != nil {
				t.Fatal(err)
			}
			if got := tree(t, to); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if got := tree(t, outside); strings.Count(got, "\n") != strings.Count(c.want, "\n")+3 {
				t.Errorf("files outside the layer:\n%s", got)
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		entries []entry
		want    string
	}{
		"root is a file":              {[]entry{file(".", "1")}, "root of layer is not a directory"},
		"root is a link":              {[]entry{symlink("/", "/etc")}, "root of layer is not a directory"},
		"root is a hard link":         {[]entry{file("a", "1"), hardlink("..", "a")}, "root of layer is not a directory"},
		"parent is a file":            {[]entry{file("a", "1"), file("a/b", "2")}, "is not a directory"},
		"parent is a dangling link":   {[]entry{symlink("a", "/etc"), file("a/passwd", "1")}, "dangling link"},
		"parent is a loop":            {[]entry{symlink("a", "b"), symlink("b", "a"), file("a/x", "1")}, "too many levels"},
		"hard link to a directory":    {[]entry{dir("a"), hardlink("b", "a")}, "directory"},
		"hard link to the root":       {[]entry{hardlink("b", ".")}, "directory"},
		"hard link to missing file":   {[]entry{hardlink("b", "../../../etc/passwd")}, "none of the layers"},
		"hard link to a removed file": {[]entry{file(".wh.a", ""), hardlink("b", "a")}, "removed by the same layer"},
		"whiteout of dots":            {[]entry{file("a/.wh...", "")}, "no name"},
		"whiteout of nothing":         {[]entry{file("a/.wh.", "")}, "no name"},
		"hidden whiteout":             {[]entry{{name: "a", kind: tar.TypeChar}}, "0:0"},
		"long element":                {[]entry{file(strings.Repeat("a", 300), "")}, "name too long"},
		"unknown type":                {[]entry{{name: "a", kind: 'Q'}}, "unknown entry type"},
	} {
		t.Run(name, func(t *testing.T) {
			err := unpackInto(t, t.TempDir(), tarOf(c.entries...))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestUnpackTooLarge unpacks a sparse file that is larger than any disk.
func TestUnpackTooLarge(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 1 << 60, Mode: 0o644})
	err := unpackInto(t, t.TempDir(), b.Bytes())
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want ENOSPC before anything is written", err)
	}
}

func TestUnpackAttributes(t *testing.T) {
	to := t.TempDir()
	err := unpackInto(t, to, tarOf(
		entry{name: "d", kind: tar.TypeDir, mode: 0o1777}, file("d/x", "1"),
		entry{name: "s", content: "1", mode: 0o4711}))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"d": fs.ModeDir | fs.ModeSticky | 0o777, "s": fs.ModeSetuid | 0o711} {
		info, err := os.Lstat(filepath.Join(to, name))
		if err != nil || info.Mode() != want || !info.ModTime().Equal(testTime) {
			t.Errorf("%s: %v, %v, %v; want %v, %v", name, info.Mode(), info.ModTime(), err, want, testTime)
		}
	}
}

func TestUnpackAsRoot(t *testing.T) {
	requireRoot(t)
	to := t.TempDir()
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	err := unpackInto(t, to, tarOf(
		entry{name: "c", content: "1", mode: 0o4755, pax: map[string]string{PaxXattr + "security.capability": capability}},
		entry{name: "o", kind: tar.TypeDir, pax: map[string]string{PaxXattr + "trusted.overlay.opaque": "y", PaxXattr + "user.overlay.opaque": "y"}},
		entry{name: "l", link: "/nowhere", kind: tar.TypeSymlink, pax: map[string]string{PaxXattr + "trusted.x": "1"}},
		entry{name: "null", kind: tar.TypeChar, mode: 0o666, major: 1, minor: 3},
		dir("d"), file("d/.wh..wh..opq", ""), file("d/x", "1"),
		file(".wh.e", ""), file("e/f", "1"), // e is new, and hides the lower one
		dir("g"), file(".wh.g", ""))) // as does g
	if err != nil {
		t.Fatal(err)
	}
	root, err := linux.OpenRoot(to)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	at, err := root.OpenDir(".")
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	if !at.HasXattr("c", "security.capability", capability) {
		t.Error("the file's capability is lost")
	}
	if st, _ := at.Stat("c"); st.Mode&0o7777 != 0o4755 {
		t.Errorf("c has mode %o", st.Mode)
	}
	if !at.HasXattr("l", "trusted.x", "1") {
		t.Error("the link's attribute is lost")
	}
	if st, _ := at.Stat("null"); st.Rdev != 1<<8|3 || st.Mode&0o777 != 0o666 {
		t.Errorf("null is %x %o", st.Rdev, st.Mode)
	}
	if attrs, err := at.Xattrs("o"); err != nil || len(attrs) != 0 {
		t.Errorf("the layer has attributes of overlayfs: %v, %v", attrs, err)
	}
	for _, name := range []string{"d", "e", "g"} {
		if !IsOpaque(at, name) {
			t.Errorf("%s shows the lower directory", name)
		}
	}
}

func TestUnpackOverLower(t *testing.T) {
	requireRoot(t) // for whiteouts
	low, mid, top := t.TempDir(), t.TempDir(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unpackInto(t, low, tarOf(
		entry{name: ".", kind: tar.TypeDir, mode: 0o711}, entry{name: "d", kind: tar.TypeDir, mode: 0o2750},
		entry{name: "d/a", content: "low", mode: 0o4755}, file("d/b", "low"), file("o/x", "low"), symlink("ln", "d/a"))))
	must(unpackInto(t, mid, tarOf(file("d/b", "mid"), file("o/.wh..wh..opq", ""), file(".wh.gone", "")), low))
	must(unpackInto(t, top, tarOf(hardlink("d/a2", "d/a"), hardlink("b2", "d/b"), hardlink("b3", "d/b"), hardlink("l2", "ln")), low, mid))
	if got, want := tree(t, top), "b2=mid\nb3=mid\nd d---------\nd/a2=low\nl2->d/a\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for path, want := range map[string]fs.FileMode{top: fs.ModeDir | 0o711, filepath.Join(mid, "d"): fs.ModeDir | fs.ModeSetgid | 0o750,
		filepath.Join(top, "d"): fs.ModeDir | fs.ModeSetgid | 0o750, filepath.Join(top, "d/a2"): fs.ModeSetuid | 0o755} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	for _, hidden := range []string{"o/x", "none"} {
		if err := unpackInto(t, t.TempDir(), tarOf(hardlink("x", hidden)), low, mid); err == nil || !strings.Contains(err.Error(), "none of the layers") {
			t.Errorf("%s: got %v", hidden, err)
		}
	}
}

// FuzzUnpack unpacks arbitrary archives and checks that nothing outside the layer changes.
func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(dir("a"), symlink("a/b", "../.."), file("a/b/c", "1"), hardlink("d", "a/b"), file(".wh.x", "")))
	f.Add(tarOf(symlink("x", "/"), dir("x/y"), file("x/../canary", "2"), hardlink("c", "/../canary")))
	f.Fuzz(func(t *testing.T, data []byte) {
		outside := t.TempDir()
		canary := filepath.Join(outside, "canary")
		if err := os.WriteFile(canary, []byte("canary"), 0o600); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(outside, "fs")
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = unpackInto(t, to, data) // most inputs are not archives
		content, err := os.ReadFile(canary)
		info, _ := os.Lstat(canary)
		if err != nil || string(content) != "canary" || info.Mode() != 0o600 || info.Sys().(*syscall.Stat_t).Nlink != 1 {
			t.Fatalf("the file outside the layer changed: %q, %v", content, err)
		}
		if entries, _ := os.ReadDir(outside); len(entries) != 2 {
			t.Fatalf("files outside the layer: %v", entries)
		}
	})
}
