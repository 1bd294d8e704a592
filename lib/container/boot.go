package container

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weikeit/mydocker/lib/monitor"
	"github.com/weikeit/mydocker/lib/state"
)

// Boot is what the machine's start is to do: what the last one left is brought to an end, and the containers start
// that are to run always, or unless somebody stopped them. The oldest come first, since others may use their networks;
// one that fails is tried again when the others are there. started is told each that runs. It may be called at any
// time, and does nothing where there is nothing to do.
func (e *Engine) Boot(ctx context.Context, started func(*state.Container)) error {
	var errs []error
	list, err := e.Dir.List(func(err error) { errs = append(errs, err) })
	if err != nil {
		return err
	}
	for _, c := range list {
		if !c.Running {
			errs = append(errs, e.about(c, e.spawn.Recover(ctx, c.ID)))
		}
	}
	e.sweep(ctx)
	slices.Reverse(list) // the newest was first
	todo := slices.DeleteFunc(list, func(c *state.Container) bool {
		return c.Running || c.Restarting() || !monitor.StartsAtBoot(c)
	})
	for more := true; more && len(todo) > 0 && ctx.Err() == nil; {
		var failed []*state.Container
		var why []error
		for _, c := range todo {
			if err := e.Start(ctx, c); err != nil {
				failed, why = append(failed, c), append(why, e.about(c, err))
				continue
			}
			started(c)
		}
		more = len(failed) < len(todo)
		if todo = failed; !more || len(failed) == 0 {
			errs = append(errs, why...)
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) about(c *state.Container, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", c.Spec.Name(), err)
}
