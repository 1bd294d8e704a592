package container

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/state"
)

// freezeTime bounds how long a container may take to stand still: a process in an uninterruptible call does so
// after it.
const freezeTime = 10 * time.Second

// group returns the control group of a container that runs.
func group(c *state.Container) (*cgroup.Group, error) {
	if !c.Running {
		return nil, spawn.ErrNotRunning
	}
	path := c.Spec.LinuxPart().CgroupsPath
	if path == "" {
		return nil, errors.New("it has no control group of its own")
	}
	return cgroup.Open(path)
}

// paused reports whether a container stands still. Who cannot tell says no.
func paused(c *state.Container) bool {
	host, err := cgroup.ThisHost()
	return err == nil && c.Running && host.Frozen(c.Spec.LinuxPart().CgroupsPath)
}

// Pause stops all processes of a container where they are.
func (e *Engine) Pause(ctx context.Context, c *state.Container) error {
	g, err := group(c)
	if err != nil {
		return err
	}
	if frozen, err := g.Frozen(); err == nil && frozen {
		return errors.New("it is paused already")
	}
	limited, cancel := context.WithTimeout(ctx, freezeTime)
	defer cancel()
	if err := g.Freeze(limited); err != nil {
		return errors.Join(err, g.Thaw(interrupt.Undoing(ctx)))
	}
	return nil
}

// Unpause lets the processes of a paused container go on.
func (e *Engine) Unpause(ctx context.Context, c *state.Container) error {
	g, err := group(c)
	if err != nil {
		return err
	}
	if frozen, err := g.Frozen(); err == nil && !frozen {
		return errors.New("it is not paused")
	}
	return g.Thaw(ctx)
}

// wake lets a container go on that has been sent a signal to end by, so that it can.
func wake(ctx context.Context, c *state.Container) error {
	if !paused(c) {
		return nil
	}
	g, err := group(c)
	if err == nil {
		err = g.Thaw(ctx)
	}
	if err != nil {
		return fmt.Errorf("wake it: %w", err)
	}
	return nil
}
