package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/state"
)

// v2Parent creates a cgroup in the v2 hierarchy only, as the parent of cgroups that cannot be created.
func v2Parent(t *testing.T) (parent *Group, limit specs.LinuxResources) {
	t.Helper()
	requireRoot(t)
	ts, err := hostTrees()
	if err != nil {
		t.Fatal(err)
	}
	tree := ts.unified()
	if tree == nil {
		t.Skip("no v2 hierarchy")
	}
	if tree.has("memory") { // not a threaded controller
		limit.Unified = map[string]string{"memory.max": "max"}
	}
	parent = &Group{Path: "/mydocker-test-" + state.NewID(), trees: trees{tree}}
	if _, err := parent.create(&limit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := parent.Kill(t.Context()); err != nil {
			t.Log(err)
		}
		if err := parent.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return parent, limit
}

// createIn creates a child, which must fail with an error that contains want and leave nothing.
func createIn(t *testing.T, parent *Group, limit specs.LinuxResources, want string) {
	t.Helper()
	g := &Group{Path: parent.Path + "/child", trees: parent.trees}
	if _, err := g.create(&limit); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want an error with %q", err, want)
	}
	if g.Exists() {
		t.Errorf("%s is left", g.Path)
	}
}

// Controllers cannot be enabled in a cgroup with processes; the error has a remedy.
func TestParentWithProcesses(t *testing.T) {
	parent, limit := v2Parent(t)
	if limit.Unified == nil {
		t.Skip("the memory controller is on v1")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := parent.Add(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	createIn(t, parent, limit, "parent cgroup "+parent.trees[0].dir(parent.Path)+" has processes, move them")
	cmd.Process.Kill()
	cmd.Wait()
}

// No program can start below a threaded cgroup.
func TestThreadedParent(t *testing.T) {
	parent, _ := v2Parent(t)
	dir := parent.trees[0].dir(parent.Path)
	if err := os.Mkdir(filepath.Join(dir, "threads"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := write(filepath.Join(dir, "threads/cgroup.type"), "threaded"); err != nil {
		t.Fatal(err)
	}
	createIn(t, parent, specs.LinuxResources{}, `cannot hold processes: its type is "domain invalid" because a parent is threaded`)
}

// A controller that the parent cgroup does not delegate is refused; the error names the parent's file.
func TestControllerNotDelegated(t *testing.T) {
	parent, _ := v2Parent(t)
	dir := parent.trees[0].dir(parent.Path)
	above := &Group{Path: parent.Path + "/bare", trees: parent.trees}
	if err := os.Mkdir(filepath.Join(dir, "bare"), 0o755); err != nil {
		t.Fatal(err)
	}
	// As in a cgroup namespace whose root has no controllers: paths start at the mount point.
	inner := &Group{Path: "/child", trees: trees{{2, filepath.Join(dir, "bare"), parent.trees[0].controllers}}}
	controller := "memory"
	if err := inner.enable(&plan{steps: []step{{inner.trees[0], controller, "--x", "x", "1"}}}); err == nil ||
		!strings.Contains(err.Error(), "parent cgroup does not delegate memory: not in ") {
		t.Errorf("%s: %v", controller, err)
	}
	if err := above.Remove(t.Context()); err != nil {
		t.Error(err)
	}
}
