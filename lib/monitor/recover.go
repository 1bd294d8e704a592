package monitor

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/state"
)

// Recover deals with a container whose program has ended while nobody waited for it: the end is written
// down and what it held is released. Where that was done, it does nothing.
func (r *Runtime) Recover(ctx context.Context, id string) error {
	unlock, err := r.dir.Lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := r.dir.Load(id)
	// One that was not to be kept yet has nothing on the disk for certain, and a power loss may have torn it.
	if err != nil && !r.dir.Kept(id) {
		return r.discard(ctx, id)
	}
	if err != nil { // the end is dealt with all the same, and the rest stays until it is removed
		c, err = r.dir.LoadDamaged(id)
	}
	if err != nil || c.Running || c.Monitored {
		return err
	}
	_, statErr := os.Stat(r.runFile(id))
	ended := c.Spawn.Started.IsZero() || !c.Spawn.Finished.IsZero()
	if errors.Is(statErr, os.ErrNotExist) && ended && r.dir.Kept(id) {
		r.dir.DropTemps(id)
		return nil // and one that is not kept should be gone: the machine went down under it
	}
	if r.dir.Kept(id) && !ended {
		c.Spawn.Finished, c.Spawn.ExitCode, c.Spawn.OOMKilled = time.Now(), state.KilledCode, cgroup.OOMKills(c.Spec) > 0
		if err := r.writeLife(id, c.Spawn); err != nil {
			return err
		}
	}
	err = r.Release(ctx, c.Spec)
	if err == nil && !r.dir.Kept(id) {
		r.unregister(id)
		return nil
	}
	return r.dropRun(id, err)
}

// discard releases a container that has no document yet, or no more: a release needs only the id.
func (r *Runtime) discard(ctx context.Context, id string) error {
	if r.dir.Look(id).Owned() {
		return nil // it is being made
	}
	r.removeFiles(id) // it was not to be kept yet, or not any more
	c, err := r.dir.LoadDamaged(id)
	if err != nil {
		return err
	}
	if err := r.Release(ctx, c.Spec); err != nil {
		return err
	}
	r.unregister(id)
	return nil
}

// Sweep recovers the containers that were in the hands of processes that were killed, so that nobody
// has to call for it. It is cheap where there is nothing to do, and tells warn of what it cannot do. The first one
// after a reboot, which takes the notes of who had what, looks at all containers.
func (r *Runtime) Sweep(ctx context.Context, warn func(format string, args ...any)) (found bool) {
	ids, err := r.dir.Abandoned()
	if err != nil {
		warn("look for what was left behind: %v", err)
	}
	if first, done := r.dir.FirstSweep(state.MarkSwept); first {
		defer func() {
			if ctx.Err() == nil { // else the next command looks at the rest
				done()
			}
		}()
		all, _ := r.dir.IDs() // those that there are
		for _, id := range all {
			if r.dir.Extent(id) != state.Active {
				ids = append(ids, id)
			}
		}
	}
	for _, id := range ids {
		err := r.Recover(ctx, id)
		if ctx.Err() != nil {
			break // the next command goes on
		}
		if err != nil {
			warn("clean up after container %s: %v", id, err)
		}
	}
	return len(ids) > 0
}
