package spawn

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/weikeit/mydocker/lib/state"
)

// killedCode is the exit code of a program whose end nobody saw: it was killed together with the
// process that waited for it.
const killedCode = 137

// Recover deals with a container whose program has ended while nobody waited for it: the end is written
// down and what it held is released. Where that was done, it does nothing.
func (r *Runtime) Recover(ctx context.Context, id string) error {
	unlock, err := r.dir.Lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := r.dir.Load(id)
	if errors.Is(err, state.ErrNotFound) {
		return os.RemoveAll(r.dir.Runtime(id)) // it was not kept, and is gone; the lock's file was ours
	}
	if err != nil || c.Running || c.Run.Monitor.Alive() {
		return err
	}
	_, statErr := os.Stat(r.runFile(id))
	ended := c.Spawn.Started.IsZero() || !c.Spawn.Finished.IsZero()
	if errors.Is(statErr, os.ErrNotExist) && ended {
		return nil
	}
	if r.dir.Kept(id) && !ended {
		c.Spawn.Finished, c.Spawn.ExitCode = time.Now(), killedCode
		if err := state.WriteJSON(r.spawnFile(id), c.Spawn); err != nil {
			return err
		}
	}
	if err := r.Release(ctx, c.Spec); err != nil {
		return err
	}
	if !r.dir.Kept(id) {
		r.unregister(id)
		return nil
	}
	err = os.Remove(r.runFile(id))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return err
}
