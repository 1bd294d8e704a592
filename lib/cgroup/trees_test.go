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
		{"mounted twice: the mount of the root is used", `
40 31 0:31 /mydocker/a /part` + rest + `cgroup cgroup rw,memory
41 31 0:31 / /whole` + rest + `cgroup cgroup rw,memory
42 31 0:31 / /again` + rest + `cgroup cgroup rw,memory`,
			"v1 /whole memory"},
		{"a space in the path", `40 31 0:31 / /a\040b` + rest + `cgroup cgroup rw,pids`, "v1 /a b pids"},
		{"none", `23 1 0:1 / / rw - ext4 /dev/vda rw`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts, _, err := parseTrees(strings.TrimSpace(c.mountinfo))
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

// Reading goes on past the lines of containers only if a hierarchy may follow them.
func TestEnoughMounts(t *testing.T) {
	const rest = " rw,relatime shared:9 - cgroup cgroup rw,"
	cpu := "40 31 0:31 / /sys/fs/cgroup/cpu" + rest + "cpu\n"
	pids := "41 31 0:32 / /sys/fs/cgroup/pids" + rest + "pids\n"
	part := "39 31 0:32 /a /part" + rest + "pids\n"
	containers := strings.Repeat("50 31 0:60 / /merged rw - overlay overlay rw,lowerdir=/a\n", 2000)
	both, more := []string{"cpu", "pids"}, []string{"cpu", "pids", "elsewhere"}
	for _, c := range []struct {
		name, mountinfo string
		all             []string
		want            bool
	}{
		{"one is missing", cpu, both, false},
		{"all", cpu + pids, both, true},
		{"one not mounted from its root", cpu + part, both, false},
		{"one not mounted, in a short table", cpu + pids, more, false},
		{"one not mounted, in a long table", cpu + pids + containers, more, true},
		{"none, in a long table", containers, more, false},
		{"unknown number", cpu + pids + containers, nil, false},
	} {
		if got := enoughMounts([]byte(c.mountinfo), c.all); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	usual := strings.ReplaceAll(cpu+pids, "/sys/fs/cgroup", "/elsewhere") + containers
	if enoughMounts([]byte(usual), both) != true || !(trees{}).missesUsualMount("../../../proc") || (trees{}).missesUsualMount("nosuch") {
		t.Error("a hierarchy counts as missing only if its usual path is a mount point")
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
