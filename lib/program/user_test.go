package program

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

const passwd = `root:x:0:0:root:/root:/bin/sh
broken
toolarge:x:4294967295:0::/:/bin/sh
mysql:x:999:998::/var/lib/mysql:/bin/false
1000:x:0:0:a number for a name:/root:/bin/sh
user:x:1000:1000::/home/user:/bin/sh
nohome:x:1001:1001:::/bin/sh
`

const group = `root:x:0:
mysql:x:998:
adm:x:4:root,user
disk:x:6:user,root,user
user:x:1000:user
twin:x:4:user
`

func openTree(t *testing.T, tree map[string]string) (root *linux.Root, dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range tree {
		mustWrite(t, filepath.Join(dir, name), content)
	}
	root, err := linux.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return root, dir
}

func TestLookupUser(t *testing.T) {
	root, _ := openTree(t, map[string]string{"etc/passwd": passwd, "etc/group": group})
	tests := []struct {
		word  string
		want  account
		error string
	}{
		{word: "", want: account{0, 0, []uint32{0, 4, 6}, "/root"}},
		{word: "root", want: account{0, 0, []uint32{0, 4, 6}, "/root"}},
		{word: "mysql", want: account{999, 998, []uint32{998}, "/var/lib/mysql"}},
		{word: "999", want: account{999, 998, []uint32{998}, "/var/lib/mysql"}},
		{word: "user", want: account{1000, 1000, []uint32{1000, 4, 6}, "/home/user"}},
		{word: "1000", want: account{1000, 1000, []uint32{1000, 4, 6}, "/home/user"}},
		{word: "nohome", want: account{1001, 1001, []uint32{1001}, "/"}},
		{word: "4711", want: account{4711, 0, []uint32{0}, "/"}},
		{word: "user:mysql", want: account{1000, 998, []uint32{998}, "/home/user"}},
		{word: "user:5", want: account{1000, 5, []uint32{5}, "/home/user"}},
		{word: ":5", want: account{0, 5, []uint32{5}, "/root"}},
		{word: "4294967294:4294967294", want: account{4294967294, 4294967294, []uint32{4294967294}, "/"}},
		{word: "4294967295", error: "want a number from 0 to 4294967294"},
		{word: "4294967296", error: "want a number from 0 to 4294967294"},
		{word: "18446744073709551616", error: "want a number from 0 to 4294967294"},
		{word: "-1", error: "want a number from 0 to 4294967294"},
		{word: "+5", error: "want a number from 0 to 4294967294"},
		{word: "-", error: "want a name or a number"},
		{word: "user:", error: "want a name or a number"},
		{word: "user:-1", error: "want a number from 0 to 4294967294"},
		{word: "user:a:b", error: "not in the container's /etc/group"},
		{word: "nobody", error: "not in the container's /etc/passwd"},
		{word: "broken", error: "not in the container's /etc/passwd"},
		{word: "toolarge", error: "not in the container's /etc/passwd"},
	}
	for _, tt := range tests {
		got, err := lookupUser(root, tt.word)
		switch {
		case tt.error != "" && (err == nil || !strings.Contains(err.Error(), tt.error)):
			t.Errorf("%q: got error %v, want %q", tt.word, err, tt.error)
		case tt.error == "" && (err != nil || !reflect.DeepEqual(got, tt.want)):
			t.Errorf("%q: got %+v, %v", tt.word, got, err)
		}
	}
}

// TestHostileDatabases replaces passwd by files that must not be read. A numeric user must still work.
func TestHostileDatabases(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "passwd")
	mustWrite(t, outside, "evil:x:0:0::/root:/bin/sh\n")
	for name, plant := range map[string]func(path string) error{
		"link out":    func(path string) error { return os.Symlink(outside, path) },
		"link in":     func(path string) error { return os.Symlink("../real", path) },
		"proc link":   func(path string) error { return os.Symlink("/proc/self/fd/0", path) },
		"fifo":        func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"directory":   func(path string) error { return os.Mkdir(path, 0o755) },
		"sparse huge": func(path string) error { return growing(path, 1<<40) },
		"just large":  func(path string) error { return growing(path, maxDatabase+1) },
	} {
		root, dir := openTree(t, map[string]string{"real": "evil:x:0:0::/root:/bin/sh\n"})
		must(t, os.MkdirAll(filepath.Join(dir, "etc"), 0o755))
		must(t, plant(filepath.Join(dir, "etc/passwd")))
		start := time.Now()
		if a, err := lookupUser(root, "evil"); err == nil {
			t.Errorf("%s: got %+v", name, a)
		}
		if a, err := lookupUser(root, "12:13"); err != nil || a.uid != 12 {
			t.Errorf("%s: a number: %+v, %v", name, a, err)
		}
		if time.Since(start) > time.Second {
			t.Errorf("%s: took %v", name, time.Since(start))
		}
	}
}

// growing creates a file of size bytes that starts with a user and continues with a hole.
func growing(path string, size int64) error {
	if err := os.WriteFile(path, []byte("evil:x:0:0::/root:/bin/sh\n"), 0o644); err != nil {
		return err
	}
	return os.Truncate(path, size)
}

func TestLinkedEtcStaysInside(t *testing.T) {
	outside := t.TempDir()
	mustWrite(t, filepath.Join(outside, "passwd"), "evil:x:0:0::/root:/bin/sh\n")
	root, dir := openTree(t, map[string]string{"a": ""})
	must(t, os.Symlink(outside, filepath.Join(dir, "etc")))
	if a, err := lookupUser(root, "evil"); err == nil {
		t.Errorf("got %+v", a)
	}
}

func TestNonRootUsersHaveNoCapabilities(t *testing.T) {
	root, _ := openTree(t, map[string]string{"etc/passwd": passwd})
	for word, want := range map[string]int{"root": 1, "mysql": 0} {
		caps := []string{"CAP_CHOWN"}
		p := &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}}
		if _, err := FillUser(p, root, word); err != nil {
			t.Fatal(err)
		}
		c := p.Capabilities
		if len(c.Bounding) != 1 || len(c.Effective) != want || len(c.Permitted) != want || *p.User.Umask != 0o022 {
			t.Errorf("%s: %+v, umask %o", word, c, *p.User.Umask)
		}
	}
}

func FuzzPasswd(f *testing.F) {
	f.Add("user", passwd, group)
	f.Add("1000:adm", passwd, group)
	f.Fuzz(func(t *testing.T, word, passwd, group string) {
		root, _ := openTree(t, map[string]string{"etc/passwd": passwd, "etc/group": group})
		a, err := lookupUser(root, word)
		if err != nil {
			return
		}
		if a.uid == 1<<32-1 || a.gid == 1<<32-1 || len(a.groups) == 0 || a.groups[0] != a.gid {
			t.Errorf("%q: %+v", word, a)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustWrite(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func TestAddGroups(t *testing.T) {
	root, _ := openTree(t, map[string]string{"etc/group": "root:x:0:\nwheel:x:10:\nvideo:x:44:\n"})
	p := &specs.Process{User: specs.User{AdditionalGids: []uint32{10}}}
	must(t, AddGroups(p, root, []string{"video", "wheel", "5000"}))
	if !slices.Equal(p.User.AdditionalGids, []uint32{10, 44, 5000}) {
		t.Errorf("groups %v", p.User.AdditionalGids)
	}
	for _, bad := range []string{"nonsuch", "-1", "4294967295", ""} {
		if err := AddGroups(p, root, []string{bad}); err == nil {
			t.Errorf("group %q was added", bad)
		}
	}
}
