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

// StopOptions say how a container is asked to end.
type StopOptions struct {
	Signal string `short:"s" help:"Signal that asks the program to end (default: the container's, else SIGTERM)"`
	Time   int    `short:"t" default:"10" help:"Seconds until it is killed; -1 waits for ever (default: 10)"`
}

// Stop asks the program of a container to end, and kills it when it does not in time. It returns when
// the container is released. One that does not run is left as it is. killed says that the program did
// not listen.
func (e *Engine) Stop(ctx context.Context, c *state.Container, o StopOptions) (killed bool, err error) {
	if o.Time < -1 {
		return false, fmt.Errorf("--time %d: want seconds, or -1 to wait for ever", o.Time)
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

// Kill sends a signal to the program of a running container, and waits for nothing. SIGKILL is heard by a
// paused one, too.
func (e *Engine) Kill(ctx context.Context, c *state.Container, sig syscall.Signal) error {
	if own, err := stopSignal(c, ""); sig == syscall.SIGKILL || err == nil && sig == own { // who asks it to end wants it ended
		if c, err = e.spawn.GiveUp(ctx, c); err != nil {
			return err
		}
	}
	e.spawn.Rouse(c)
	return e.spawn.Handle(c).Signal(ctx, sig)
}

// Wait waits for the end of a container and returns the exit code of its program; one that has ended has its last.
func (e *Engine) Wait(ctx context.Context, c *state.Container) (int, error) {
	return e.spawn.WaitCode(ctx, c)
}

// stopSignal is the one that the user names, else the container's own.
func stopSignal(c *state.Container, name string) (syscall.Signal, error) {
	if name == "" {
		name = c.Spec.Annotation(spec.AnnotationStop)
	}
	if name == "" {
		return syscall.SIGTERM, nil
	}
	return linux.SignalNumber(name)
}

// signal sends a signal to end by; a container that has just ended is fine, and a paused one goes on.
func (e *Engine) signal(ctx context.Context, c *state.Container, sig syscall.Signal) error {
	err := e.spawn.Handle(c).Signal(ctx, sig)
	if errors.Is(err, spawn.ErrNotRunning) {
		return nil
	}
	return errors.Join(err, e.spawn.Handle(c).Wake(ctx))
}

// await waits for the end of the program for the given seconds, and without an end where they are
// negative. It looks up now and then, so that a Ctrl-C is heard.
func (e *Engine) await(ctx context.Context, c *state.Container, seconds int) (ended bool, err error) {
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	for {
		slice := 200 * time.Millisecond
		if left := time.Until(end); seconds >= 0 && left < slice {
			slice = max(left, 0)
		}
		// Rounded up, or the last part of a millisecond would be waited for busily.
		ended, err = e.spawn.Handle(c).Wait(int((slice + time.Millisecond - 1) / time.Millisecond))
		if ended || err != nil || seconds >= 0 && !time.Now().Before(end) {
			return ended, err
		}
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("stopped waiting: %w", err)
		}
	}
}

// tidy waits until the end of a container is dealt with by whoever waited for it, and deals with it where
// that one is gone.
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

// RemoveOptions say what goes with a container.
type RemoveOptions struct {
	Force   bool `short:"f" help:"Kill the container if it is running"`
	Volumes bool `short:"v" help:"Remove its anonymous volumes too"`
}

// Remove removes the container that the user calls so, with all that was made for it, and returns its id.
// One that stages of the pipe have prepared and nobody runs is gone, too: its document may lie in a file,
// so that nobody else can know that it is not wanted any more.
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
		return errors.New("it is being made: wait for it, or end who makes it")
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
		return errRunning("stop it first, or remove it by force (-f)")
	}
	return err
}

// keepVolumes makes the anonymous volumes of container id stay when it is removed.
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

// Attach connects the caller with a container that runs, until that ends, and returns its exit code; detached says that
// the user let go of it before. since is from when on its output is shown: the zero time for now. One that has ended since
// then is shown, too.
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
