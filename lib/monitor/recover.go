package monitor

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/state"
)

// Recover deals with a container whose program ended without a process that stayed with it: it records the end and
// releases the container. It is idempotent.
func (r *Runtime) Recover(ctx context.Context, id string) error {
	unlock, err := r.dir.Lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := r.dir.Load(id)
	// A container that is not kept was not synced to disk: a power loss may have torn its document.
	if err != nil && !r.dir.Kept(id) {
		return r.discard(ctx, id)
	}
	if err != nil { // without a document, still record the end; the rest stays until it is removed
		c, err = r.dir.LoadDamaged(id)
	}
	if err != nil || c.Running || c.Monitored {
		return err
	}
	_, statErr := os.Stat(r.runFile(id))
	ended := c.Spawn.Started.IsZero() || !c.Spawn.Finished.IsZero()
	if errors.Is(statErr, os.ErrNotExist) && ended && r.dir.Kept(id) {
		r.dir.DropTemps(id)
		return nil // one that is not kept goes on below: the machine went down while it ran
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

// discard releases a container without a document: a release needs only the id.
func (r *Runtime) discard(ctx context.Context, id string) error {
	if r.dir.Look(id).Owned() {
		return nil // it is being made
	}
	r.removeFiles(id) // it is not kept
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

// Sweep recovers the containers whose owners were killed, and reports to warn what fails. It is cheap if there is nothing
// to do. The first sweep after a reboot, which loses the records of the owners, looks at all containers.
func (r *Runtime) Sweep(ctx context.Context, warn func(format string, args ...any)) (found bool) {
	ids, err := r.dir.Abandoned()
	if err != nil {
		warn("look for abandoned containers: %v", err)
	}
	if first, done := r.dir.FirstSweep(state.MarkSwept); first {
		defer func() {
			if ctx.Err() == nil { // else the next command looks at the rest
				done()
			}
		}()
		all, _ := r.dir.IDs() // as far as they can be listed
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
