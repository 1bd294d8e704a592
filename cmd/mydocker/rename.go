package main

import (
	"context"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

type rename struct {
	Container string `arg:"" help:"Id or name of a container"`
	Name      string `arg:"" help:"Its new name"`
}

// Run implements cli.Runner.
func (c *rename) Run(ctx context.Context, std *cli.IO) error {
	return withContainer(std, c.Container, func(e *container.Engine, box *state.Container) error {
		return e.Rename(ctx, box.ID, c.Name)
	})
}
