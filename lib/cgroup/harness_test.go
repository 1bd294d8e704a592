package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

// enterEnv, set to a path, makes the test binary enter that cgroup and execute its arguments.
const enterEnv = "CGROUP_TEST_ENTER"

func TestMain(m *testing.M) {
	path := os.Getenv(enterEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	g, err := Open(path)
	if err == nil {
		err = g.Exec(os.Args[1:])
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(125)
}

// requireRoot skips the test without root or cgroups. With MYDOCKER_MUST_RUN set it fails the test instead.
func requireRoot(t *testing.T) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("MYDOCKER_MUST_RUN") != "" {
		skip = t.Fatalf
	}
	if os.Getuid() != 0 {
		skip("needs root")
	}
	if _, err := hostTrees(); err != nil {
		skip("needs cgroups: %v", err)
	}
}

// stageManager returns a manager with a parent cgroup of the test's own, and puts an md-cgroup, for release hooks, on the PATH.
func stageManager(t *testing.T) *Manager {
	t.Helper()
	requireRoot(t)
	dir := t.TempDir()
	writeFiles(t, dir, "md-cgroup=")
	if err := os.Chmod(filepath.Join(dir, "md-cgroup"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	m := New(state.Dir{Root: dir, Run: dir})
	m.base = "/mydocker-test-" + state.NewID()
	return m
}

// realGroup creates a cgroup. When the test ends, it is removed and no hierarchy may have it any more.
func realGroup(t *testing.T, l Limits) *Group {
	t.Helper()
	requireRoot(t)
	return groupIn(t, "/mydocker-test-"+state.NewID(), l)
}

// groupIn is realGroup with a given parent, for cgroups that compete.
func groupIn(t *testing.T, top string, l Limits) *Group {
	t.Helper()
	g, err := Open(top + "/" + state.NewID())
	if err != nil {
		t.Fatal(err)
	}
	g.base = top
	t.Cleanup(func() {
		if err := errors.Join(g.Kill(context.Background()), g.Remove(context.Background())); err != nil {
			t.Error(err)
		}
		checkGone(t, g.Path)
		if _, err := os.Stat(g.trees[0].dir(top)); err == nil && childless(g.trees[0].dir(top)) {
			t.Errorf("%s is left", top)
		}
	})
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	r, err := l.Resources()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.create(r); err != nil {
		t.Fatal(err)
	}
	return g
}

// commandIn returns a command that runs in the cgroup.
func commandIn(t *testing.T, g *Group, argv ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, argv...)
	cmd.Env = append(os.Environ(), enterEnv+"="+g.Path)
	return cmd
}

// requireController skips the test if no hierarchy has the controller.
func requireController(t *testing.T, g *Group, controller string) *tree {
	t.Helper()
	tr := g.trees.find(controller)
	if tr == nil {
		t.Skipf("no hierarchy has the %s controller", controller)
	}
	return tr
}

// checkGone checks that no hierarchy has the cgroup.
func checkGone(t *testing.T, path string) {
	t.Helper()
	ts, err := hostTrees()
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range ts {
		if _, err := os.Stat(tr.dir(path)); err == nil {
			t.Errorf("%s is left", tr.dir(path))
		}
	}
}
