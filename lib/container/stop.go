package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/monitor"
	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// StopOptions are the options of stop and restart.
type StopOptions struct {
	Signal string `short:"s" help:"Signal to stop the program (default: the container's, else SIGTERM)"`
	Time   int    `short:"t" docker:"timeout" default:"10" help:"Seconds to wait before killing it; -1 waits forever (default: 10)"`
}

// Stop sends the program of a container a signal, and kills it if it does not exit in time. It returns after the
// container is released. killed reports that the program ignored the signal. A container that does not run stays as it is.
func (e *Engine) Stop(ctx context.Context, c *state.Container, o StopOptions) (killed bool, err error) {
	if o.Time < -1 {
		return false, fmt.Errorf("--time %d: want seconds, or -1 to wait forever", o.Time)
	}
	sig, err := stopSignal(c, o.Signal)
	if err != nil {
		return false, err
	}
	if c, err = e.spawn.GiveUp(ctx, c); err != nil {
		return false, err
	}
	if !c.Running {
		return false, e.tidy(ctx, c)
	}
	ended := false
	if o.Time != 0 {
		if err := e.signal(ctx, c, sig); err != nil {
			return false, err
		}
		if ended, err = e.await(ctx, c, o.Time); err != nil {
			return false, err
		}
	}
	if !ended {
		if err := e.signal(ctx, c, syscall.SIGKILL); err != nil {
			return false, err
		}
	}
	return !ended && o.Time != 0, e.tidy(ctx, c)
}

// Kill sends a signal to the program of a running container and does not wait. SIGKILL also ends a paused one.
func (e *Engine) Kill(ctx context.Context, c *state.Container, sig syscall.Signal) error {
	if own, err := stopSignal(c, ""); sig == syscall.SIGKILL || err == nil && sig == own { // these signals end the restart policy
		if c, err = e.spawn.GiveUp(ctx, c); err != nil {
			return err
		}
	}
	e.spawn.Rouse(c)
	return e.spawn.Handle(c).Signal(ctx, sig)
}

// Wait waits until a container has ended and returns the exit code of its program. One that has ended returns at once.
func (e *Engine) Wait(ctx context.Context, c *state.Container) (int, error) {
	return e.spawn.WaitCode(ctx, c)
}

// stopSignal returns the signal that the user named, or the container's own.
func stopSignal(c *state.Container, name string) (syscall.Signal, error) {
	if name == "" {
		name = c.Spec.Annotation(spec.AnnotationStop)
	}
	if name == "" {
		return syscall.SIGTERM, nil
	}
	return linux.SignalNumber(name)
}

// signal sends a signal that is to end a container, and unpauses it. One that has just ended is no error.
func (e *Engine) signal(ctx context.Context, c *state.Container, sig syscall.Signal) error {
	err := e.spawn.Handle(c).Signal(ctx, sig)
	if errors.Is(err, spawn.ErrNotRunning) {
		return nil
	}
	return errors.Join(err, e.spawn.Handle(c).Wake(ctx))
}

// await waits for the end of the program for the given seconds, or forever if they are negative. It checks ctx every
// 200 ms.
func (e *Engine) await(ctx context.Context, c *state.Container, seconds int) (ended bool, err error) {
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	for {
		slice := 200 * time.Millisecond
		if left := time.Until(end); seconds >= 0 && left < slice {
			slice = max(left, 0)
		}
		// Rounded up to a millisecond, or the loop would spin through the last fraction.
		ended, err = e.spawn.Handle(c).Wait(int((slice + time.Millisecond - 1) / time.Millisecond))
		if ended || err != nil || seconds >= 0 && !time.Now().Before(end) {
			return ended, err
		}
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("wait for the end of the container: %w", err)
		}
	}
}

// tidy waits until the monitor of an ended container has released it, and recovers it if the monitor is gone.
func (e *Engine) tidy(ctx context.Context, c *state.Container) error {
	if err := e.spawn.Settle(ctx, c); err != nil {
		return err
	}
	return e.spawn.Recover(ctx, c.ID)
}

// Restart stops a container and starts it again.
func (e *Engine) Restart(ctx context.Context, c *state.Container, o StopOptions, stopped func(killed bool) error) error {
	killed, err := e.Stop(ctx, c, o)
	if err != nil {
		return err
	}
	if err := stopped(killed); err != nil {
		return err
	}
	return e.Start(ctx, c)
}

// RemoveOptions are the options of rm.
type RemoveOptions struct {
	Force   bool `short:"f" help:"Kill the container if it is running, and ignore one that does not exist"`
	Volumes bool `short:"v" help:"Remove its anonymous volumes too"`
}

// Remove removes the container that arg names, with everything that was made for it, and returns its id. It also removes a
// prepared container: its document may be in a file, so only the user knows that it is no longer wanted.
func (e *Engine) Remove(ctx context.Context, arg string, o RemoveOptions) (id string, err error) {
	if id, err = e.Dir.Resolve(arg); err != nil {
		return "", err
	}
	c, damaged, err := e.Dir.LoadAnyway(id)
	if errors.Is(err, state.ErrNotFound) {
		return id, e.removePrepared(ctx, id)
	}
	if err == nil {
		err = e.remove(ctx, c, o)
	}
	if err != nil && damaged != nil {
		err = fmt.Errorf("%w (its document: %w)", err, damaged)
	}
	return id, err
}

func (e *Engine) removePrepared(ctx context.Context, id string) error {
	if err := e.spawn.Recover(ctx, id); err != nil {
		return err
	}
	if _, err := os.Stat(e.Dir.Bundle(id)); err == nil {
		return errBeingMade
	}
	return nil
}

func (e *Engine) remove(ctx context.Context, c *state.Container, o RemoveOptions) error {
	err := e.spawn.Delete(ctx, c, o.Force, func() error {
		if o.Volumes {
			return nil
		}
		return e.keepVolumes(c.ID)
	})
	if errors.Is(err, monitor.ErrRunning) && !o.Force {
		return errRunning
	}
	return err
}

// keepVolumes lets the anonymous volumes of container id outlive it.
func (e *Engine) keepVolumes(id string) error {
	unlock, err := e.Dir.LockChanging(id)
	if err != nil {
		return err
	}
	defer unlock()
	return e.rootfs.KeepVolumes(id)
}

// Exec runs a command in a running container and returns its exit code.
func (e *Engine) Exec(ctx context.Context, c *state.Container, o program.ExecOptions, args []string, caller Caller) (int, error) {
	if !c.Running {
		return 0, spawn.ErrNotRunning
	}
	if o.TTY == nil && !o.Detach && spawn.OnTerminal(caller.In, caller.Out) {
		terminal := true
		o.TTY = &terminal
	}
	proc, err := program.Exec(c.Spec, c.Run.Init.Number(), o, args)
	if err != nil {
		return 0, err
	}
	return e.spawn.Exec(ctx, c, proc, monitor.Options{
		Detach:      o.Detach,
		Interactive: o.Interactive,
		Streams:     spawn.Connect(caller.In, caller.Out, caller.Err, proc.Terminal, o.Interactive),
	})
}

// Logs shows the log of a container.
func (e *Engine) Logs(ctx context.Context, c *state.Container, o crilog.Options, caller Caller) error {
	e.spawn.Rouse(c)
	return e.spawn.Logs(ctx, c, o, caller.Out, caller.Err)
}

// Attach connects the caller with a running container until it ends, and returns its exit code. detached reports that
// the user detached before. Output is shown from since on, or from now if since is the zero time. With since, a container
// that has ended in between is shown too.
func (e *Engine) Attach(ctx context.Context, c *state.Container, since time.Time, input bool, caller Caller) (code int, detached bool, err error) {
	if !c.Running && since.IsZero() {
		return 0, false, spawn.ErrNotRunning
	}
	e.spawn.Rouse(c)
	streams := spawn.Connect(caller.In, caller.Out, caller.Err, c.Spec.ProcessPart().Terminal, true)
	if !input {
		streams.In, streams.Terminal = nil, nil
	}
	return e.spawn.Attach(ctx, c, since, streams)
}
