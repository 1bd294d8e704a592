package main

import (
	"context"
	_ "embed"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

//go:embed doc.go
var doc string

func main() {
	cli.Main(cli.Tool{Name: "md-ps", Doc: doc, Commands: []cli.Command{{
		Summary: "List all containers on the host", New: cli.New[ps],
	}}})
}

type ps struct {
	container.ListOptions
	cli.ListFlags
}

func listing() cli.Listing[container.Row] {
	return cli.Listing[container.Row]{Header: container.Header(), Cells: container.Row.Cells, ID: container.Row.Key, Cut: "COMMAND"}
}

// Run implements cli.Runner.
func (c *ps) Run(_ context.Context, std *cli.IO) error {
	show, err := listing().Printer(c.ListFlags)
	if err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return cli.Usagef("%w", err)
	}
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	rows, err := container.List(dir, c.ListOptions, func(err error) { cli.Warn(std.Err, "md-ps", "%v", err) })
	if err != nil {
		return err
	}
	return show(std.Out, rows)
}
