package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/network"
	"github.com/weikeit/mydocker/lib/state"
)

type networkCreate struct {
	network.CreateOptions
	Name string `arg:"" help:"Name of the network"`
}

// Run implements cli.Runner.
func (c *networkCreate) Run(ctx context.Context, io *cli.IO) error {
	e, err := engine(io)
	if err != nil {
		return err
	}
	if err := e.Network.Create(ctx, c.Name, c.CreateOptions); err != nil {
		return err
	}
	_, err = fmt.Fprintln(io.Out, c.Name)
	return err
}

type networkList struct {
	Quiet  bool   `short:"q" help:"Only print the names"`
	Format string `enum:",table,json" default:"" help:"table, or json (one object per line)"`
}

// networkRow is a network's record with what is counted, not stored.
type networkRow struct {
	network.Network
	Counts int `json:"counts"`
}

// Run implements cli.Runner.
func (c *networkList) Run(_ context.Context, io *cli.IO) error {
	e, err := engine(io)
	if err != nil {
		return err
	}
	networks, err := e.Network.List()
	if err != nil {
		cli.Warn(io.Err, "mydocker", "%v", err) // the others are shown
	}
	switch {
	case c.Quiet:
		for _, n := range networks {
			fmt.Fprintln(io.Out, n.Name)
		}
		return nil
	case c.Format == "json":
		rows := make([]networkRow, len(networks))
		for i, n := range networks {
			rows[i] = networkRow{n, n.Counts}
		}
		return cli.JSONLines(io.Out, rows)
	}
	cells := make([][]string, len(networks))
	for i, n := range networks {
		cells[i] = n.Row()
	}
	return cli.Table(io.Out, network.TableHeader(), cells)
}

type networkRemove struct {
	Names []string `arg:"" name:"network" help:"Names of networks"`
}

// Run implements cli.Runner.
func (c *networkRemove) Run(ctx context.Context, io *cli.IO) error {
	e, err := engine(io)
	if err != nil {
		return err
	}
	return cli.Each(io, "mydocker", "network rm", c.Names, func(name string) error {
		if err := e.Network.Remove(ctx, name); err != nil {
			return err
		}
		_, err := fmt.Fprintln(io.Out, name)
		return err
	})
}

type connect struct {
	Network   string `arg:"" help:"Name of a network"`
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *connect) Run(ctx context.Context, io *cli.IO) error {
	return withContainer(io, c.Container, func(e *container.Engine, box *state.Container) error {
		return e.Network.Connect(ctx, c.Network, box.ID)
	})
}

type disconnect struct {
	Network   string `arg:"" help:"Name of a network"`
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *disconnect) Run(ctx context.Context, io *cli.IO) error {
	return withContainer(io, c.Container, func(e *container.Engine, box *state.Container) error {
		return e.Network.Disconnect(ctx, c.Network, box.ID)
	})
}

func withContainer(io *cli.IO, arg string, do func(*container.Engine, *state.Container) error) error {
	e, err := engine(io)
	if err != nil {
		return err
	}
	box, err := e.Load(arg)
	if err == nil {
		err = do(e, box)
	}
	return cli.About(arg, err)
}
