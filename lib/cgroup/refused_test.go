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

// v2Parent makes a group in the v2 hierarchy alone, for what may be wrong with one.
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
	if tree.has("memory") { // which threads cannot have
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

// createIn makes a group below, which must fail with these words and leave nothing.
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

// A group with processes in it hands no controllers on: the error says what to do.
func TestParentWithProcesses(t *testing.T) {
	parent, limit := v2Parent(t)
	if limit.Unified == nil {
		t.Skip("the memory controller is v1's here")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := parent.Add(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	createIn(t, parent, limit, "processes stand in "+parent.trees[0].dir(parent.Path)+" itself: move them")
	cmd.Process.Kill()
	cmd.Wait()
}

// Below a threaded group no program can start.
func TestThreadedParent(t *testing.T) {
	parent, _ := v2Parent(t)
	dir := parent.trees[0].dir(parent.Path)
	if err := os.Mkdir(filepath.Join(dir, "threads"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := write(filepath.Join(dir, "threads/cgroup.type"), "threaded"); err != nil {
		t.Fatal(err)
	}
	createIn(t, parent, specs.LinuxResources{}, "takes no processes, it is domain invalid: a group above it is threaded")
}

// A controller that a group above does not hand on cannot be used below, and the error says where.
func TestControllerNotHandedOn(t *testing.T) {
	parent, _ := v2Parent(t)
	dir := parent.trees[0].dir(parent.Path)
	above := &Group{Path: parent.Path + "/bare", trees: parent.trees}
	if err := os.Mkdir(filepath.Join(dir, "bare"), 0o755); err != nil {
		t.Fatal(err)
	}
	// As seen from within a namespace whose root has none: the mount is where our paths begin.
	inner := &Group{Path: "/child", trees: trees{{2, filepath.Join(dir, "bare"), parent.trees[0].controllers}}}
	controller := "memory"
	if err := inner.enable(&plan{steps: []step{{inner.trees[0], controller, "--x", "x", "1"}}}); err == nil ||
		!strings.Contains(err.Error(), "the group above has it not to hand on") {
		t.Errorf("%s: %v", controller, err)
	}
	if err := above.Remove(t.Context()); err != nil {
		t.Error(err)
	}
}
