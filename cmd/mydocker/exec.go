package main

import (
	"context"
	"fmt"
	"time"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/state"
)

type execute struct {
	program.ExecOptions
	cli.Target
}

// Run implements cli.Runner.
func (c *execute) Run(ctx context.Context, std *cli.IO) error {
	name, args, err := c.Split()
	if err != nil {
		return err
	}
	return withContainer(std, name, func(e *container.Engine, box *state.Container) error {
		return exit(e.Exec(ctx, box, c.ExecOptions, args, caller(std)))
	})
}

type attach struct {
	NoStdin   bool   `help:"Do not pass on standard input"`
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *attach) Run(ctx context.Context, std *cli.IO) error {
	return withContainer(std, c.Container, func(e *container.Engine, box *state.Container) error {
		return attachTo(ctx, e, box, time.Time{}, !c.NoStdin, std)
	})
}

// attachTo attaches to a running container. Output is shown from since on, or from now if since is the zero time.
func attachTo(ctx context.Context, e *container.Engine, box *state.Container, since time.Time, input bool, std *cli.IO) error {
	code, detached, err := e.Attach(ctx, box, since, input, caller(std))
	if err != nil {
		return cli.About(box.Spec.Name(), err)
	}
	if detached {
		newLine(ctx, std)
		return nil
	}
	return exit(code, nil)
}

// newLine starts a new line for the shell's prompt. A terminal that does not take it within 100 ms shows no prompt either.
func newLine(ctx context.Context, std *cli.IO) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_ = interrupt.Do(ctx, func() error {
		_, err := fmt.Fprintln(std.Err)
		return err
	})
}

type logs struct {
	crilog.Flags
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *logs) Run(ctx context.Context, std *cli.IO) error {
	o, err := c.Parse(time.Now())
	if err != nil {
		return cli.Usagef("%w", err)
	}
	e, err := engine(std)
	if err != nil {
		return err
	}
	box, err := e.LoadAnyway(c.Container)
	if err != nil {
		return cli.About(c.Container, err)
	}
	return cli.About(c.Container, e.Logs(ctx, box, o, caller(std)))
}
