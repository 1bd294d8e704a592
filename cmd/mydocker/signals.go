package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

type kill struct {
	Signal     string   `short:"s" default:"SIGKILL" help:"Signal, by name or number (default: SIGKILL)"`
	Containers []string `arg:"" help:"Ids or names of containers"`
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
	return eachOf(std, "kill", c.Containers, e.LoadAnyway, func(box *state.Container) error {
		if err := e.Kill(ctx, box, sig); err != nil {
			return err
		}
		_, err := fmt.Fprintln(std.Out, box.ID)
		return err
	})
}

type wait struct {
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// Run implements cli.Runner.
func (c *wait) Run(ctx context.Context, std *cli.IO) error {
	return eachAnyway(std, "wait", c.Containers, func(e *container.Engine, box *state.Container) error {
		code, err := e.Wait(ctx, box)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(std.Out, code)
		return err
	})
}
