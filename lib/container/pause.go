package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/state"
)

// group returns the cgroup of a running container.
func group(c *state.Container) (*cgroup.Group, error) {
	if !c.Running {
		return nil, spawn.ErrNotRunning
	}
	path := c.Spec.LinuxPart().CgroupsPath
	if path == "" {
		return nil, errNoCgroup
	}
	return cgroup.Open(path)
}

// Pause freezes all processes of a container.
func (e *Engine) Pause(ctx context.Context, c *state.Container) error {
	if !c.Running {
		return spawn.ErrNotRunning
	}
	err := e.spawn.Handle(c).Freeze(ctx)
	if errors.Is(err, spawn.ErrPaused) {
		return fmt.Errorf("%w already", err)
	}
	return err
}

// Unpause thaws a paused container.
func (e *Engine) Unpause(ctx context.Context, c *state.Container) error {
	if !c.Running {
		return spawn.ErrNotRunning
	}
	return e.spawn.Handle(c).Thaw(ctx)
}
