package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Rename gives a container another name. Its name is what its document says: if the command is killed before it writes
// the document, the container keeps the old name.
func (e *Engine) Rename(ctx context.Context, id, name string) error {
	unlock, err := e.Dir.LockChanging(id)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := e.Dir.Load(id)
	if err != nil {
		return err
	}
	if c.Spec.Name() == name {
		return fmt.Errorf("name is already %s", name)
	}
	if err := e.settleName(ctx, c); err != nil { // of a killed rename
		return err
	}
	if err := e.Dir.ClaimName(name, id); err != nil {
		return err
	}
	if err := e.Dir.Persist(id, name); err != nil {
		return errors.Join(err, e.Dir.ReleaseName(name, id))
	}
	c.Spec.Annotate(spec.AnnotationName, name)
	if err := e.spawn.Rewrite(c.Spec); err != nil {
		return errors.Join(err, e.Dir.ReleaseName(name, id))
	}
	return e.settleName(ctx, c)
}

// settleName makes all records and claims of a container's name agree with its document. The caller holds its lock.
func (e *Engine) settleName(ctx context.Context, c *state.Container) error {
	name := c.Spec.Annotation(spec.AnnotationName)
	if name == "" {
		return e.Dir.ReleaseOtherNames(c.ID, name)
	}
	err := errors.Join(e.rootfs.Rename(c.ID, name), e.Network.Rename(ctx, c.ID, name))
	return errors.Join(err, e.Dir.ReleaseOtherNames(c.ID, name))
}

// settleNameOf is settleName after a killed command. The caller holds the container's lock.
func (e *Engine) settleNameOf(ctx context.Context, id string) error {
	c, err := e.Dir.Load(id)
	if err != nil {
		return nil // its removal releases its names
	}
	return e.settleName(ctx, c)
}

// settleNames finishes all renames that a reboot ended, because their locks are gone.
func (e *Engine) settleNames(ctx context.Context) error {
	half, err := e.Dir.HalfRenamed()
	errs := []error{err}
	for _, id := range half {
		errs = append(errs, e.settleRecords(ctx, id))
	}
	return errors.Join(errs...)
}
