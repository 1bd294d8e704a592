package container

import (
	"context"
	"errors"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/state"
)

// Update changes limits of a container, now and for its next starts. Limits that l does not set stay as they are.
func (e *Engine) Update(_ context.Context, c *state.Container, l cgroup.Limits) error {
	unlock, err := e.Dir.LockChanging(c.ID)
	if err != nil {
		return err
	}
	defer unlock()
	if c, err = e.Dir.Load(c.ID); err != nil { // another command may have changed it
		return err
	}
	path := c.Spec.LinuxPart().CgroupsPath
	if path == "" {
		return errNoCgroup
	}
	g, err := cgroup.Open(path)
	if err != nil {
		return err
	}
	undo, err := g.Update(c.Spec, l)
	if err != nil {
		return err
	}
	if err := e.spawn.Rewrite(c.Spec); err != nil {
		return errors.Join(err, undo())
	}
	return nil
}
