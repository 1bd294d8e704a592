package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

type stop struct {
	container.StopOptions
	containers
}

// Run stops all containers in parallel: each may take its full time.
func (c *stop) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	errs, ids := make([]error, len(c.Containers)), make([]string, len(c.Containers))
	var all sync.WaitGroup
	for i, arg := range c.Containers {
		all.Go(func() {
			ids[i], errs[i] = c.stop(ctx, e, arg, std)
			errs[i] = cli.About(arg, errs[i])
		})
	}
	all.Wait()
	e.Sweep(ctx)
	i := -1
	return cli.Each(std, "mydocker", "stop", c.Containers, func(string) error {
		if i++; errs[i] != nil {
			return errs[i]
		}
		_, err := fmt.Fprintln(std.Out, ids[i])
		return err
	})
}

// stop stops one container and returns its id.
func (c *stop) stop(ctx context.Context, e *container.Engine, arg string, std *cli.IO) (string, error) {
	box, err := e.LoadAnyway(arg)
	if errors.Is(err, container.ErrPrepared) { // it does not run
		return box.ID, nil
	}
	if err != nil {
		return "", err
	}
	killed, err := e.Stop(ctx, box, c.StopOptions)
	warnKilled(std, box, killed, c.Time)
	return box.ID, err
}

// warnKilled explains why a stop took all of its time.
func warnKilled(std *cli.IO, box *state.Container, killed bool, seconds int) {
	if killed {
		cli.Warn(std.Err, "mydocker", "%s did not end within %d s and was killed: its PID 1 may ignore the signal (run it with --init)",
			box.Spec.Name(), seconds)
	}
}

type start struct {
	Attach      bool `short:"a" help:"Stay in the foreground: print the program's output, and exit with its code"`
	Interactive bool `short:"i" help:"Stay in the foreground, and pass on standard input too"`
	containers
}

// Run implements cli.Runner.
func (c *start) Run(ctx context.Context, std *cli.IO) error {
	if c.Attach || c.Interactive {
		return cli.WithCode(cli.ExitOurs, c.attached(ctx, std))
	}
	return c.eachPrinted(std, "start", func(e *container.Engine, box *state.Container) error { return e.Start(ctx, box) })
}

// attached starts one container and attaches to it.
func (c *start) attached(ctx context.Context, std *cli.IO) error {
	if len(c.Containers) != 1 {
		return cli.Usagef("-a, -i: want one container, because there is one standard output")
	}
	e, err := engine(std)
	if err != nil {
		return err
	}
	name, before := c.Containers[0], time.Now()
	box, err := e.Load(name)
	if err != nil {
		return cli.About(name, err)
	}
	if err := e.Start(ctx, box); err != nil {
		return cli.About(name, err)
	}
	if box, err = e.Load(name); err != nil {
		return cli.About(name, err)
	}
	return attachTo(ctx, e, box, before, c.Interactive, std)
}

type restart struct {
	container.StopOptions
	containers
}

// Run prints the id twice, once for the stop and once for the start.
func (c *restart) Run(ctx context.Context, std *cli.IO) error {
	return c.eachPrinted(std, "restart", func(e *container.Engine, box *state.Container) error {
		return e.Restart(ctx, box, c.StopOptions, func(killed bool) error {
			warnKilled(std, box, killed, c.Time)
			return printID(std, box)
		})
	})
}

type remove struct {
	container.RemoveOptions
	containers
}

// Run implements cli.Runner.
func (c *remove) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	defer e.Sweep(ctx)
	return cli.Each(std, "mydocker", "rm", c.Containers, func(arg string) error {
		id, err := e.Remove(ctx, arg, c.RemoveOptions)
		if c.Force && warnMissing(std, err, "container", arg) {
			return nil
		}
		if err != nil {
			return cli.About(arg, err)
		}
		_, err = fmt.Fprintln(std.Out, id)
		return err
	})
}

// warnMissing reports whether err says that an object does not exist, and warns about it. A removal by force continues.
func warnMissing(std *cli.IO, err error, kind, name string) bool {
	if !errors.Is(err, state.ErrNotFound) {
		return false
	}
	cli.Warn(std.Err, "mydocker", "no such %s: %s", kind, name)
	return true
}

type kill struct {
	Signal string `short:"s" default:"SIGKILL" help:"Signal, by name or number (default: SIGKILL)"`
	containers
}

// Run implements cli.Runner.
func (c *kill) Run(ctx context.Context, std *cli.IO) error {
	sig, err := linux.SignalNumber(c.Signal)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	e, err := engine(std)
	if err != nil {
		return err
	}
	defer e.Sweep(ctx)
	return c.each(std, "kill", (*container.Engine).LoadAnyway, func(e *container.Engine, box *state.Container) error {
		if err := e.Kill(ctx, box, sig); err != nil {
			return err
		}
		return printID(std, box)
	})
}

type wait struct{ containers }

// Run implements cli.Runner.
func (c *wait) Run(ctx context.Context, std *cli.IO) error {
	return c.each(std, "wait", (*container.Engine).LoadAnyway, func(e *container.Engine, box *state.Container) error {
		code, err := e.Wait(ctx, box)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(std.Out, code)
		return err
	})
}

type pause struct{ containers }

// Run implements cli.Runner.
func (c *pause) Run(ctx context.Context, std *cli.IO) error {
	return c.eachPrinted(std, "pause", func(e *container.Engine, box *state.Container) error { return e.Pause(ctx, box) })
}

type unpause struct{ containers }

// Run implements cli.Runner.
func (c *unpause) Run(ctx context.Context, std *cli.IO) error {
	return c.eachPrinted(std, "unpause", func(e *container.Engine, box *state.Container) error { return e.Unpause(ctx, box) })
}

type update struct {
	cgroup.Limits
	containers
}

// Run implements cli.Runner.
func (c *update) Run(ctx context.Context, std *cli.IO) error {
	if words, err := cli.Words(&c.Limits); err != nil || len(words) == 0 {
		return cli.Usagef("no limit is given")
	}
	return c.eachPrinted(std, "update", func(e *container.Engine, box *state.Container) error { return e.Update(ctx, box, c.Limits) })
}
