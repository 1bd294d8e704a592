package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseTrees(t *testing.T) {
	unified := t.TempDir()
	if err := os.WriteFile(filepath.Join(unified, "cgroup.controllers"), []byte("hugetlb pids\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const rest = " rw,relatime shared:9 - "
	for _, c := range []struct {
		name, mountinfo, want string
	}{
		{"v1", `
31 23 0:28 / /sys/fs/cgroup` + rest + `tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct` + rest + `cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/systemd` + rest + `cgroup cgroup rw,xattr,name=systemd
34 31 0:31 / /sys/fs/cgroup/memory` + rest + `cgroup cgroup rw,memory`,
			"v1 /sys/fs/cgroup/cpu,cpuacct cpu cpuacct; v1 /sys/fs/cgroup/systemd xattr; v1 /sys/fs/cgroup/memory memory"},
		{"hybrid", `
34 31 0:31 / /sys/fs/cgroup/memory` + rest + `cgroup cgroup rw,memory
35 31 0:32 / ` + unified + rest + `cgroup2 cgroup2 rw`,
			"v1 /sys/fs/cgroup/memory memory; v2 " + unified + " hugetlb pids"},
		{"mounted twice: the whole one counts, wherever it stands", `
40 31 0:31 /mydocker/a /part` + rest + `cgroup cgroup rw,memory
41 31 0:31 / /whole` + rest + `cgroup cgroup rw,memory
42 31 0:31 / /again` + rest + `cgroup cgroup rw,memory`,
			"v1 /whole memory"},
		{"a space in the path", `40 31 0:31 / /a\040b` + rest + `cgroup cgroup rw,pids`, "v1 /a b pids"},
		{"none", `23 1 0:1 / / rw - ext4 /dev/vda rw`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts, err := parseTrees(strings.TrimSpace(c.mountinfo))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, tr := range ts {
				got = append(got, strings.TrimSpace(fmt.Sprintf("v%d %s %s", tr.version, tr.mount, strings.Join(tr.controllers, " "))))
			}
			if joined := strings.Join(got, "; "); joined != c.want {
				t.Errorf("got  %s\nwant %s", joined, c.want)
			}
		})
	}
}

func TestCleanPath(t *testing.T) {
	for path, want := range map[string]string{
		"/mydocker/x": "/mydocker/x", "a/b": "/a/b", "/a/../../../b": "/b", "/a//b/": "/a/b",
		"": "", "/": "", "..": "", "system.slice:mydocker:x": "", "/a\nb": "",
	} {
		got, err := cleanPath(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", path, got, err, want)
		}
	}
}
