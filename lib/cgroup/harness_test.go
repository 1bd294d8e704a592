package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

// enterEnv makes the test program one that enters a group and becomes what its arguments name.
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

// requireRoot skips a test that changes the kernel's state where that cannot be, and fails where it
// must be possible.
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

// realGroup makes a group that goes with the test, which checks that no hierarchy keeps anything of it.
func realGroup(t *testing.T, l Limits) *Group {
	t.Helper()
	requireRoot(t)
	return groupIn(t, "/mydocker-test-"+state.NewID(), l)
}

// groupIn makes it beside others: those of one parent share what it has.
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
		leftNothing(t, g.Path)
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

// inside returns a command that runs in the group.
func inside(t *testing.T, g *Group, argv ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, argv...)
	cmd.Env = append(os.Environ(), enterEnv+"="+g.Path)
	return cmd
}

// needs skips a test where the host cannot limit that.
func needs(t *testing.T, g *Group, controller string) *tree {
	t.Helper()
	tr := g.trees.find(controller)
	if tr == nil {
		t.Skipf("no hierarchy has the %s controller", controller)
	}
	return tr
}

// leftNothing checks that no hierarchy has the group.
func leftNothing(t *testing.T, path string) {
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
