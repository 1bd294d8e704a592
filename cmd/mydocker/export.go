package main

import (
	"context"
	"io"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

type export struct {
	Output    string `short:"o" help:"Write to this file instead of standard output"`
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *export) Run(ctx context.Context, std *cli.IO) error {
	if c.Output == "" && cli.IsTerminal(std.Out) {
		return cli.Usagef("standard output is a terminal: redirect it, or name a file (-o)")
	}
	return withContainer(std, c.Container, func(e *container.Engine, box *state.Container) error {
		write := func(w io.Writer) error { return e.Export(ctx, box, w) }
		if c.Output == "" {
			return write(std.Out)
		}
		return e.Images.WriteWhole(c.Output, write)
	})
}
