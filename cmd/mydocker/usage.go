package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

type update struct {
	cgroup.Limits
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// Run implements cli.Runner.
func (c *update) Run(ctx context.Context, std *cli.IO) error {
	if words, err := cli.Words(&c.Limits); err != nil || len(words) == 0 {
		return cli.Usagef("no limit is given")
	}
	return eachPrinted(std, "update", c.Containers, func(e *container.Engine, box *state.Container) error {
		return e.Update(ctx, box, c.Limits)
	})
}

type pause struct {
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// Run implements cli.Runner.
func (c *pause) Run(ctx context.Context, std *cli.IO) error {
	return eachPrinted(std, "pause", c.Containers, func(e *container.Engine, box *state.Container) error {
		return e.Pause(ctx, box)
	})
}

type unpause struct {
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// Run implements cli.Runner.
func (c *unpause) Run(ctx context.Context, std *cli.IO) error {
	return eachPrinted(std, "unpause", c.Containers, func(e *container.Engine, box *state.Container) error {
		return e.Unpause(ctx, box)
	})
}

type stats struct {
	container.StatsOptions
	Containers []string `arg:"" optional:"" help:"Ids or names of containers; all that run where none is named"`
}

// Run implements cli.Runner.
func (c *stats) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return e.Stats(ctx, c.Containers, c.StatsOptions, std.Out, func() {
		if c.Format != "json" && cli.IsTerminal(std.Out) {
			fmt.Fprint(std.Out, "\033[H\033[2J") // the next table stands where this one did
		}
	})
}

type top struct {
	Words []string `arg:"" name:"container" passthrough:"partial" help:"Id or name of a container, and options of ps(1)"`
}

// Run implements cli.Runner.
func (c *top) Run(ctx context.Context, std *cli.IO) error {
	return withContainer(std, c.Words[0], func(e *container.Engine, box *state.Container) error {
		return e.Top(ctx, box, c.Words[1:], std.Out)
	})
}

// eachPrinted does something to every container that is named, and prints the ids of those where it went well.
func eachPrinted(std *cli.IO, command string, args []string, do func(*container.Engine, *state.Container) error) error {
	return each(std, command, args, func(e *container.Engine, box *state.Container) error {
		if err := do(e, box); err != nil {
			return err
		}
		_, err := fmt.Fprintln(std.Out, box.ID)
		return err
	})
}
