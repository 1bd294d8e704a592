package container

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weikeit/mydocker/lib/linux"
)

func TestParsePlace(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]place{
		"web:/etc/":  {container: "web", path: "/etc/"},
		"web:etc/.":  {container: "web", path: "etc/."},
		"./a:b":      {path: here + "/a:b"},
		"/a:b/":      {path: "/a:b/"},
		"file":       {path: here + "/file"},
		".":          {path: here + "/."},
		"dir/.":      {path: here + "/dir/."},
		"-":          {},
		":nameless":  {path: here + "/:nameless"},
		"web:/a:b/c": {container: "web", path: "/a:b/c"},
	} {
		want.arg = arg
		if got, err := parsePlace(arg); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", arg, got, err, want)
		}
	}
	for _, arg := range []string{"", "web:"} {
		if _, err := parsePlace(arg); err == nil {
			t.Errorf("%q: no error", arg)
		}
	}
}

// TestFollow: links at the end of a path are resolved as the kernel resolves those before it.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a/b", "c"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"c/to-b": "/a/b", "c/up": "to-b/..", "c/beyond": "../../../../a", "c/none": "nothing", "c/loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := linux.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	tree := &fileTree{root: root}
	inode := func(name string) uint64 {
		d, err := root.OpenDir(name)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		st, err := d.Stat(".")
		if err != nil {
			t.Fatal(err)
		}
		return st.Ino
	}
	for path, want := range map[string]string{"/c/to-b": "/a/b", "/c/up": "/a", "/c/beyond": "/a", "/c": "/c", "/": "/"} {
		if _, st, err := tree.follow(path); err != nil || st == nil || st.Ino != inode(want) {
			t.Errorf("%s: %v, %v", path, st, err)
		}
	}
	if real, st, err := tree.follow("/c/none"); err != nil || st != nil || real != "/c/nothing" {
		t.Errorf("dangling: %s, %v, %v", real, st, err)
	}
	if _, _, err := tree.follow("/c/loop"); err == nil {
		t.Error("a loop is followed without an error")
	}
}
