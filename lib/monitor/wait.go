package monitor

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// settleTime bounds the wait for the release by another process.
const settleTime = 30 * time.Second

// heedTime is the longest wait, in milliseconds, that a signal does not interrupt.
const heedTime = 200

// Settle waits until a container whose program ends is released by the process that stays with it, so that nothing of it
// changes later. If that process is gone, or does not release it in time, Settle returns: releases are idempotent, and
// the caller does it.
func (r *Runtime) Settle(ctx context.Context, c *state.Container) error {
	end := time.Now().Add(settleTime)
	for ended := false; !ended && time.Now().Before(end); {
		var err error
		if ended, err = r.Handle(c).Wait(heedTime); err != nil {
			return err
		}
		if err := interrupt.Cancelled(ctx); err != nil {
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
			return interrupt.Cancelled(ctx)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// settled reports whether the end of a run is dealt with, by the run file as it was and as it is now. A run file without a
// first process is of a start that failed, whose monitor has yet to report it.
func settled(was state.Run, look state.Look) bool {
	now := look.Run
	if look.Monitor == state.Dead || now == (state.Run{}) { // without a run file, the monitor is about to end, or the file is lost
		return look.Monitor == state.Dead
	}
	another := now.Init != was.Init && now.Init.PID != 0
	return another || now.Monitor != was.Monitor || !now.Restart.IsZero()
}

// WaitCode waits for the end of a container and returns the exit code of its program.
func (r *Runtime) WaitCode(ctx context.Context, c *state.Container) (int, error) {
	for ctx.Err() == nil {
		if ended, err := r.Handle(c).Wait(heedTime); ended || err != nil {
			break
		}
	}
	if err := interrupt.Cancelled(ctx); err != nil {
		return 0, err
	}
	if err := r.Settle(ctx, c); err != nil {
		return 0, err
	}
	if err := r.Recover(ctx, c.ID); err != nil { // the monitor may have been killed
		return 0, err
	}
	life, err := r.dir.ReadSpawn(c.ID)
	if err != nil {
		return 0, err
	}
	if life.Started.IsZero() && !life.Created.IsZero() {
		return 0, errors.New("container has not been started")
	}
	if life.Finished.IsZero() {
		return 0, errors.New("exit code is not known: container was not kept")
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
