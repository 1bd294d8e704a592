package monitor

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/state"
)

// settleTime bounds how long somebody else's release is waited for.
const settleTime = 30 * time.Second

// heedTime is how many milliseconds a wait may last that does not hear that the user gave up.
const heedTime = 200

// Settle waits until a container whose program ends is released by the process that waits for it, so
// that nothing of it changes any more under the caller's hands. Where that process is gone, or is not
// done in time, it returns at once: releases are idempotent, and the caller's own does it.
func (r *Runtime) Settle(ctx context.Context, c *state.Container) error {
	end := time.Now().Add(settleTime)
	for ended := false; !ended && time.Now().Before(end); {
		var err error
		if ended, err = r.Wait(c, heedTime); err != nil {
			return err
		}
		if err := spawn.Cancelled(ctx); err != nil {
			return err
		}
	}
	for end = end.Add(settleTime); time.Now().Before(end); {
		look := r.dir.Look(c.ID)
		if settled(c.Run, look) {
			return nil
		}
		r.Rouse(&state.Container{ID: c.ID, Spec: c.Spec, Run: look.Run})
		select {
		case <-ctx.Done():
			return spawn.Cancelled(ctx)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// settled reports whether the end of what ran has been dealt with: by its note, and by what the note was. One without
// a first process is of a start that did not come to run, whose monitor has yet to say so.
func settled(was state.Run, look state.Look) bool {
	now := look.Run
	if look.Monitor == state.Dead || now == (state.Run{}) { // the second: it is just leaving, or its note is lost
		return look.Monitor == state.Dead
	}
	another := now.Init != was.Init && now.Init.PID != 0
	return another || now.Monitor != was.Monitor || !now.Restart.IsZero()
}

// WaitCode waits for the end of a container and returns the exit code of its program.
func (r *Runtime) WaitCode(ctx context.Context, c *state.Container) (int, error) {
	for ctx.Err() == nil {
		if ended, err := r.Wait(c, heedTime); ended || err != nil {
			break
		}
	}
	if err := spawn.Cancelled(ctx); err != nil {
		return 0, err
	}
	if err := r.Settle(ctx, c); err != nil {
		return 0, err
	}
	if err := r.Recover(ctx, c.ID); err != nil { // who waited for it may have been killed
		return 0, err
	}
	life, err := r.dir.ReadSpawn(c.ID)
	if err != nil {
		return 0, err
	}
	if life.Started.IsZero() && !life.Created.IsZero() {
		return 0, errors.New("it has not been started")
	}
	if life.Finished.IsZero() {
		return 0, errors.New("its exit code is not known: it was not kept")
	}
	return life.ExitCode, nil
}

// Logs shows the log of a container. Following ends with the container.
func (r *Runtime) Logs(ctx context.Context, c *state.Container, o crilog.Options, out, errOut io.Writer) error {
	o.Ended = func() bool {
		return r.dir.Look(c.ID).Monitor == state.Dead
	}
	linux.Trace("cat", r.LogPath(c.ID))
	return interrupt.Do(ctx, func() error { return crilog.Read(ctx, r.LogPath(c.ID), o, out, errOut) })
}
