package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/state"
)

// Errors about what a container's state does not allow.
var (
	ErrPaused  = fmt.Errorf("%w: unpause it first", spawn.ErrPaused)
	ErrRunning = errors.New("container is running")
)

// Handle returns the handle on container c.
func (r *Runtime) Handle(c *state.Container) *spawn.Container {
	h := &spawn.Container{ID: c.ID, Spec: c.Spec}
	if c.Run.Init.PID != 0 {
		h.Init = c.Run.Init
	}
	h.Ended = func() bool { return !c.Running || r.dir.Look(c.ID).Program == state.Dead }
	return h
}

// Exec runs another program in a running container and returns its exit code; detached, 0 when the program runs, with
// /dev/null for its streams.
func (r *Runtime) Exec(ctx context.Context, c *state.Container, proc *specs.Process, o Options) (int, error) {
	if o.Detach && (proc.Terminal || o.Interactive) {
		return 0, errors.New("a detached program has no input and no terminal: no process holds them")
	}
	e := spawn.ExecOptions{Detach: o.Detach, Streams: o.Streams}
	if !o.Detach {
		e.Stdio = spawn.Pipes(o.Interactive)
	}
	code, err := r.Handle(c).Exec(ctx, proc, e)
	if errors.Is(err, spawn.ErrPaused) {
		err = ErrPaused
	}
	return code, err
}

// Delete removes a container and all that was made for it. If it runs, Delete fails with [ErrRunning], or with force kills
// it. ended is called before the removal, when the program has ended.
func (r *Runtime) Delete(ctx context.Context, c *state.Container, force bool, ended func() error) error {
	for {
		if (c.Running || c.Restarting()) && !force {
			return ErrRunning
		}
		err := r.endAndRemove(ctx, c, ended)
		if !errors.Is(err, ErrRunning) || ctx.Err() != nil {
			return err
		}
		// Another command has started it again.
		if c, _, err = r.dir.LoadAnyway(c.ID); errors.Is(err, state.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *Runtime) endAndRemove(ctx context.Context, c *state.Container, ended func() error) error {
	c, err := r.GiveUp(ctx, c)
	if err != nil {
		return err
	}
	if c.Running {
		if err := r.Handle(c).Signal(ctx, syscall.SIGKILL); err != nil && !errors.Is(err, spawn.ErrNotRunning) {
			return err
		}
	}
	if err := r.Settle(ctx, c); err != nil {
		return err
	}
	if err := ended(); err != nil {
		return err
	}
	return r.remove(ctx, c)
}

// remove removes a container that does not run. It is idempotent.
func (r *Runtime) remove(ctx context.Context, c *state.Container) error {
	unlock, err := r.dir.Lock(c.ID)
	if err != nil {
		return err
	}
	defer unlock()
	if r.dir.Look(c.ID).Program != state.Dead {
		return ErrRunning
	}
	if err := r.dir.AcquireLocked(c.ID); err != nil { // the next sweep finds it if we crash
		return err
	}
	// Without this file the container is not kept, and so all of it is released.
	if err := os.RemoveAll(r.spawnFile(c.ID)); err != nil { // it may be a directory
		return err
	}
	if err := r.Release(ctx, c.Spec); err != nil {
		return err
	}
	r.unregister(c.ID)
	return nil
}
