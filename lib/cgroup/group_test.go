package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// writeFiles creates files, given as "name=content", in a directory, in place of the kernel's.
func writeFiles(t *testing.T, dir string, files ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, content, _ := strings.Cut(f, "=")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkFiles checks the content of files, given as "name=content".
func checkFiles(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, f := range files {
		name, want, _ := strings.Cut(f, "=")
		if got, err := readWord(filepath.Join(dir, name)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", filepath.Join(dir, name), got, err, want)
		}
	}
}

func TestCreateSeedsCpusets(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, "cpuset.cpus=0-3", "cpuset.mems=0-1")
	writeFiles(t, filepath.Join(root, "mydocker"), "cpuset.cpus=", "cpuset.mems=")
	writeFiles(t, filepath.Join(root, "mydocker/a"), "cpuset.cpus=", "cpuset.mems=", "tasks=", "cgroup.procs=")
	g := &Group{Path: "/mydocker/a", base: base, trees: trees{{1, root, []string{"cpuset"}}}}
	if _, err := g.create(&specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "2-3"}}); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, filepath.Join(root, "mydocker"), "cpuset.cpus=0-3", "cpuset.mems=0-1")
	checkFiles(t, filepath.Join(root, "mydocker/a"), "cpuset.cpus=2-3", "cpuset.mems=0-1")
	if err := g.Add(4711); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, filepath.Join(root, "mydocker/a"), "cgroup.procs=4711", "tasks=")
	if err := g.Enter(); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, filepath.Join(root, "mydocker/a"), "tasks=0")
	if pids, err := g.Procs(); err != nil || len(pids) != 1 || pids[0] != 4711 {
		t.Errorf("processes: %v, %v", pids, err)
	}
}

func TestCreateEnablesControllersInParents(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, "cgroup.subtree_control=cpu memory")
	writeFiles(t, filepath.Join(root, "mydocker"), "cgroup.subtree_control=")
	writeFiles(t, filepath.Join(root, "mydocker/a"), "memory.max=max", "memory.low=0", "cgroup.subtree_control=")
	g := &Group{Path: "/mydocker/a", base: base, trees: trees{{2, root, []string{"memory", "hugetlb"}}}}
	if _, err := g.create(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](7 << 20)}}); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, root, "cgroup.subtree_control=cpu memory") // unchanged
	checkFiles(t, filepath.Join(root, "mydocker"), "cgroup.subtree_control=+memory")
	checkFiles(t, filepath.Join(root, "mydocker/a"), "memory.max=7340032", "memory.low=0", "cgroup.subtree_control=")
}

func TestParentGetsRealtimeBudget(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, filepath.Join(root, "mydocker"), rtRuntime+"=0", rtPeriod+"=1000000")
	writeFiles(t, filepath.Join(root, "mydocker/a"), rtRuntime+"=0", rtPeriod+"=1000000")
	writeFiles(t, filepath.Join(root, "mydocker/b"), rtRuntime+"=50000", rtPeriod+"=500000")
	g := &Group{Path: "/mydocker/a", base: base, trees: trees{{1, root, []string{"cpu"}}}}
	if err := g.Set(&specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimeRuntime: ptr[int64](200000)}}); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, filepath.Join(root, "mydocker"), rtRuntime+"=300000") // 20 % and 10 %
	checkFiles(t, filepath.Join(root, "mydocker/a"), rtRuntime+"=200000")
}

func TestMissingFile(t *testing.T) {
	root := t.TempDir()
	g := &Group{Path: "/mydocker/a", base: base, trees: trees{{1, root, []string{"memory"}}}}
	_, err := g.create(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](-1), Swap: ptr[int64](1 << 30)}})
	if err == nil || !strings.Contains(err.Error(), "--memory-swap-limit: this kernel has no "+memsw+": boot with swapaccount=1") {
		t.Errorf("an error without the remedy: %v", err)
	}
	if left, _ := os.ReadDir(root); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := g.create(&specs.LinuxResources{Memory: &specs.LinuxMemory{Swap: ptr[int64](-1)}}); err != nil {
		t.Errorf("unlimited swap without the file: %v", err)
	}
}

// Remove removes the common parent with its last child, and no other parent.
func TestRemove(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"mydocker/a/inside/deeper", "mydocker/b", "foreign/c"} {
		writeFiles(t, filepath.Join(root, dir))
	}
	remove := func(path string) {
		t.Helper()
		g := &Group{Path: path, base: base, trees: trees{{1, root, nil}}}
		for range 2 { // Remove is idempotent
			if err := g.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove("/mydocker/a")
	if _, err := os.Stat(filepath.Join(root, "mydocker/b")); err != nil {
		t.Error(err)
	}
	remove("/mydocker/b")
	remove("/foreign/c")
	if left, _ := os.ReadDir(root); len(left) != 1 || left[0].Name() != "foreign" {
		t.Errorf("left: %v, want foreign", left)
	}
}
