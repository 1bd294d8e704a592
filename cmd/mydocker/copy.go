package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
)

type copyFiles struct {
	container.CopyOptions
	Quiet  bool   `short:"q" help:"Print nothing, even on a terminal"`
	Source string `arg:"" help:"CONTAINER:PATH, a path on the host, or - for an archive on standard input"`
	Target string `arg:"" help:"CONTAINER:PATH, a path on the host, or - for an archive on standard output"`
}

// Run implements cli.Runner.
func (c *copyFiles) Run(ctx context.Context, std *cli.IO) error {
	places, err := container.ParsePlaces(c.Source, c.Target)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	if c.Target == "-" && cli.IsTerminal(std.Out) {
		return cli.Usagef("standard output is a terminal: redirect the archive")
	}
	e, err := engine(std)
	if err != nil {
		return err
	}
	size, err := e.Copy(ctx, places, c.CopyOptions, caller(std))
	if err != nil {
		return cli.About(places.Container(), err)
	}
	if !c.Quiet && c.Target != "-" && cli.IsTerminal(std.Err) {
		fmt.Fprintf(std.Err, "Successfully copied %s to %s\n", container.Size(size), cli.OneLine(c.Target))
	}
	return nil
}
