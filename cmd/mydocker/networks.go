package main

import (
	"context"
	"errors"
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
func (c *networkCreate) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	if err := e.Network.Create(ctx, c.Name, c.CreateOptions); err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, c.Name)
	return err
}

type networkList struct {
	Quiet  bool   `short:"q" help:"Only print the names"`
	Format string `help:"table, json (one object per line), or a Go template such as '{{.Name}}' (default: table)"`
}

// networkRow is a network's record with the number of its containers, which is not stored.
type networkRow struct {
	network.Network
	Counts int `json:"counts"`
}

// Run implements cli.Runner.
func (c *networkList) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	networks, err := e.Network.List()
	if err != nil {
		warn(std)(err) // the readable ones are printed
	}
	rows := make([]networkRow, len(networks))
	for i, n := range networks {
		rows[i] = networkRow{n, n.Counts}
	}
	return cli.Listing[networkRow]{
		Header: network.TableHeader(), Cells: networkRow.Row, ID: func(r networkRow) string { return r.Name },
	}.Print(std.Out, cli.ListFlags{Quiet: c.Quiet, Format: c.Format}, rows)
}

type networkRemove struct {
	Force bool     `short:"f" help:"Ignore networks that do not exist"`
	Names []string `arg:"" name:"network" help:"Names of networks"`
}

// Run implements cli.Runner.
func (c *networkRemove) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return cli.Each(std, "mydocker", "network rm", c.Names, func(name string) error {
		err := e.Network.Remove(ctx, name)
		if c.Force && warnMissing(std, err, "network", name) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(std.Out, name)
		return err
	})
}

type networkInspect struct {
	Names []string `arg:"" name:"network" help:"Names of networks"`
}

// Run implements cli.Runner.
func (c *networkInspect) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return cli.Each(std, "mydocker", "network inspect", c.Names, func(name string) error {
		n, err := e.Network.Inspect(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(std.Err, "Showing %s as a network:\n", name)
		return cli.JSON(std.Out, n.View())
	})
}

type networkPrune struct{ pruneForce }

// Run implements cli.Runner.
func (c *networkPrune) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	if !c.agreed(std, "all networks that no container uses") {
		return nil
	}
	return e.Network.Prune(ctx, func(name string) error {
		_, err := fmt.Fprintln(std.Out, name)
		return err
	})
}

type networkReload struct{}

// Run implements cli.Runner.
func (*networkReload) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return e.Network.Reload(ctx)
}

type connect struct {
	network.ConnectOptions
	Network   string `arg:"" help:"Name of a network"`
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *connect) Run(ctx context.Context, std *cli.IO) error {
	return withContainer(std, c.Container, func(e *container.Engine, box *state.Container) error {
		return e.Network.Connect(ctx, c.Network, box.ID, c.ConnectOptions)
	})
}

type disconnect struct {
	Force     bool   `short:"f" help:"Release everything that the container still has in the network, even if it no longer exists"`
	Network   string `arg:"" help:"Name of a network"`
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *disconnect) Run(ctx context.Context, std *cli.IO) error {
	if c.Force && state.IsID(c.Container) { // the container may no longer exist
		e, err := engine(std)
		if err != nil {
			return err
		}
		return e.Network.Disconnect(ctx, c.Network, c.Container, true)
	}
	return withContainer(std, c.Container, func(e *container.Engine, box *state.Container) error {
		return e.Network.Disconnect(ctx, c.Network, box.ID, c.Force)
	})
}

type port struct {
	Container string `arg:"" help:"Id or name of a container"`
	Port      string `arg:"" optional:"" help:"A port of the container: 80 or 53/udp"`
}

// Run implements cli.Runner.
func (c *port) Run(_ context.Context, std *cli.IO) error {
	return withContainer(std, c.Container, func(e *container.Engine, box *state.Container) error {
		lines, err := e.Network.Published(box.ID, c.Port)
		out := cli.NewLines(std.Out)
		for _, line := range lines {
			out.Printf("%s", line)
		}
		return errors.Join(err, out.Err())
	})
}
