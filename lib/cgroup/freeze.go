package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// Freeze freezes all processes of the cgroup and of its children, and returns when they are frozen or
// ctx ends. A process in an uninterruptible system call freezes only after the call.
func (g *Group) Freeze(ctx context.Context) error { return g.freeze(ctx, true) }

// Thaw resumes the processes of the cgroup.
func (g *Group) Thaw(ctx context.Context) error { return g.freeze(ctx, false) }

func (g *Group) freeze(ctx context.Context, frozen bool) error {
	verb := "thaw"
	if frozen {
		verb = "freeze"
	}
	t, file, value := g.freezer(frozen)
	if t == nil {
		return fmt.Errorf("%s cgroup %s: no hierarchy has a freezer: mount -t cgroup -o freezer cgroup /sys/fs/cgroup/freezer", verb, g.Path)
	}
	path := filepath.Join(t.dir(g.Path), file)
	if err := write(path, value); err != nil {
		return fmt.Errorf("%s cgroup %s: %w", verb, g.Path, err)
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		done, err := g.Frozen()
		if err != nil || done == frozen {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s cgroup %s: %w", verb, g.Path, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// freezer returns the hierarchy, the file and the value that freeze or thaw the cgroup: v1's freezer controller, or
// else v2's cgroup.freeze. t is nil if there is neither.
func (g *Group) freezer(frozen bool) (t *tree, file, value string) {
	if t = g.trees.find("freezer"); t != nil {
		if frozen {
			return t, "freezer.state", "FROZEN"
		}
		return t, "freezer.state", "THAWED"
	}
	if frozen {
		return g.trees.unified(), "cgroup.freeze", "1"
	}
	return g.trees.unified(), "cgroup.freeze", "0"
}

// Frozen reports whether all processes of the cgroup are frozen.
func (g *Group) Frozen() (bool, error) {
	t := g.trees.find("freezer")
	if t != nil {
		state, err := readWord(filepath.Join(t.dir(g.Path), "freezer.state"))
		return state == "FROZEN", err
	}
	if t = g.trees.unified(); t == nil {
		return false, nil
	}
	events, err := readWord(filepath.Join(t.dir(g.Path), "cgroup.events"))
	return strings.Contains(events, "frozen 1"), err
}

// Host holds the hierarchies of this machine, for queries about many cgroups.
type Host struct{ trees trees }

// ThisHost returns the hierarchies of this machine.
func ThisHost() (Host, error) {
	ts, err := hostTrees()
	return Host{ts}, err
}

// Frozen reports whether all processes of the cgroup at path are frozen. On any error it returns false.
func (h Host) Frozen(path string) bool {
	path, err := cleanPath(path)
	if err != nil {
		return false
	}
	frozen, err := (&Group{Path: path, trees: h.trees}).Frozen()
	return err == nil && frozen
}

// Kill sends SIGKILL to all processes of the cgroup and waits up to 2 s until they are gone. Frozen
// processes are thawed so that they can die.
func (g *Group) Kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, exitTimeout)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		pids, err := g.Procs()
		switch {
		case errors.Is(err, ErrForeign), err == nil && len(pids) == 0 && linux.CgroupOccupancy(g.Path).Occupied: // in another pid namespace
			if !linux.KillCgroup(g.Path) {
				return err
			}
			pids = nil
		case errors.Is(err, fs.ErrNotExist), err == nil && len(pids) == 0:
			return nil
		case err != nil:
			return err
		}
		if err := g.killOnce(pids); err != nil {
			return fmt.Errorf("kill cgroup %s: %w", g.Path, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kill cgroup %s: wait for %d processes to end: %w", g.Path, len(pids), ctx.Err())
		case <-time.After(pause):
		}
	}
}

// killOnce writes cgroup.kill if the kernel has it: a process cannot escape that by forking. Otherwise it signals
// each process and thaws the cgroup.
func (g *Group) killOnce(pids []int) error {
	if t := g.trees.unified(); t != nil && len(g.trees) == 1 {
		err := write(filepath.Join(t.dir(g.Path), "cgroup.kill"), "1")
		if !errors.Is(err, fs.ErrNotExist) { // kernels before 5.14 lack the file
			return err
		}
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("signal process %d: %w", pid, err)
		}
	}
	if t, file, value := g.freezer(false); t != nil {
		return write(filepath.Join(t.dir(g.Path), file), value)
	}
	return nil
}
