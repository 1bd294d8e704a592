package container

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weikeit/mydocker/lib/monitor"
	"github.com/weikeit/mydocker/lib/state"
)

// Boot is called when the machine starts, and may be called at any time. It recovers the containers of the last boot and
// starts those whose restart policy says so, the oldest first, because newer ones may use their networks. It tries
// failed ones again as long as others succeed. It calls started with each container that runs.
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
	slices.Reverse(list) // the oldest first
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
