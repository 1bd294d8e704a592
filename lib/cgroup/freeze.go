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

// Freeze stops all processes of the group, those in groups below it included, and returns when they
// stand still. It waits as long as ctx lets it: a process in an uninterruptible call stops after it.
func (g *Group) Freeze(ctx context.Context) error { return g.freeze(ctx, true) }

// Thaw lets the processes of the group go on.
func (g *Group) Thaw(ctx context.Context) error { return g.freeze(ctx, false) }

func (g *Group) freeze(ctx context.Context, frozen bool) error {
	verb := "thaw"
	if frozen {
		verb = "freeze"
	}
	t, file, value := g.freezer(frozen)
	if t == nil {
		return fmt.Errorf("%s group %s: no cgroup hierarchy can: mount -t cgroup -o freezer cgroup /sys/fs/cgroup/freezer", verb, g.Path)
	}
	path := filepath.Join(t.dir(g.Path), file)
	if err := write(path, value); err != nil {
		return fmt.Errorf("%s group %s: %w", verb, g.Path, err)
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		done, err := g.Frozen()
		if err != nil || done == frozen {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s group %s: %w", verb, g.Path, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// freezer returns where and how the group is frozen: by v1's controller, or else by v2 itself.
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

// Frozen reports whether all processes of the group stand still.
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

// Host knows the hierarchies of this machine, for who asks about many groups.
type Host struct{ trees trees }

// ThisHost looks for them.
func ThisHost() (Host, error) {
	ts, err := hostTrees()
	return Host{ts}, err
}

// Frozen reports whether all processes of the group at path stand still. Who cannot tell says no.
func (h Host) Frozen(path string) bool {
	path, err := cleanPath(path)
	if err != nil {
		return false
	}
	frozen, err := (&Group{Path: path, trees: h.trees}).Frozen()
	return err == nil && frozen
}

// Kill ends all processes of the group with SIGKILL and waits until they are gone, up to 2 s. Those
// that are frozen are thawed to die.
func (g *Group) Kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		pids, err := g.Procs()
		switch {
		case errors.Is(err, ErrForeign), err == nil && len(pids) == 0 && linux.GroupOccupancy(g.Path).Occupied: // not ours to see
			if !linux.KillGroup(g.Path) {
				return err
			}
			pids = nil
		case errors.Is(err, fs.ErrNotExist), err == nil && len(pids) == 0:
			return nil
		case err != nil:
			return err
		}
		if err := g.killOnce(pids); err != nil {
			return fmt.Errorf("kill group %s: %w", g.Path, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kill group %s: %d processes do not end: %w", g.Path, len(pids), ctx.Err())
		case <-time.After(pause):
		}
	}
}

// killOnce kills by the kernel's own file where there is one: no process can escape that by forking.
func (g *Group) killOnce(pids []int) error {
	if t := g.trees.unified(); t != nil && len(g.trees) == 1 {
		err := write(filepath.Join(t.dir(g.Path), "cgroup.kill"), "1")
		if !errors.Is(err, fs.ErrNotExist) { // kernels before 5.14 have none
			return err
		}
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("process %d: %w", pid, err)
		}
	}
	if t, file, value := g.freezer(false); t != nil {
		return write(filepath.Join(t.dir(g.Path), file), value)
	}
	return nil
}
