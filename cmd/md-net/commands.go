package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/network"
	"github.com/weikeit/mydocker/lib/state"
)

// manager returns the networks of the state directory that the environment chooses.
func manager() (*network.Manager, state.Dir, error) {
	dir, err := state.FromEnv()
	return network.New(dir), dir, err
}

type create struct {
	network.CreateOptions
	Name string `arg:""`
}

func (c *create) Run(ctx context.Context, io *cli.IO) error {
	m, _, err := manager()
	if err == nil {
		err = m.Create(ctx, c.Name, c.CreateOptions)
	}
	if err == nil {
		_, err = fmt.Fprintln(io.Out, c.Name)
	}
	return err
}

type list struct{}

func (*list) Run(_ context.Context, io *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	networks, unreadable := m.List()
	var rows [][]string
	for _, n := range networks {
		rows = append(rows, n.Row())
	}
	if err := cli.Table(io.Out, network.TableHeader(), rows); err != nil {
		return err
	}
	return unreadable
}

type inspect struct {
	Names []string `arg:"" name:"network"`
}

func (c *inspect) Run(_ context.Context, io *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	return cli.Each(io, "md-net", "inspect", c.Names, func(name string) error {
		n, err := m.Inspect(name)
		if err != nil {
			return err
		}
		return cli.JSON(io.Out, n.View())
	})
}

type remove struct {
	Names []string `arg:"" name:"network"`
}

func (c *remove) Run(ctx context.Context, io *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	return cli.Each(io, "md-net", "rm", c.Names, func(name string) error {
		if err := m.Remove(ctx, name); err != nil {
			return err
		}
		_, err := fmt.Fprintln(io.Out, name)
		return err
	})
}

type attach struct {
	cli.StageFlags
	network.Options
}

func (c *attach) Run(ctx context.Context, io *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	return c.Pass(ctx, io, m.Attach(c.Options))
}

type detach struct {
	ID string `arg:""`
}

func (c *detach) Run(ctx context.Context, _ *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	// Not by name: a hook runs when all else of the container may be gone.
	return m.Detach(ctx, c.ID)
}

type connect struct {
	Network   string `arg:""`
	Container string `arg:""`
}

func (c *connect) Run(ctx context.Context, _ *cli.IO) error {
	m, dir, err := manager()
	if err != nil {
		return err
	}
	id, err := dir.Resolve(c.Container)
	if err != nil {
		return err
	}
	return m.Connect(ctx, c.Network, id)
}

type disconnect struct {
	Network   string `arg:""`
	Container string `arg:""`
}

func (c *disconnect) Run(ctx context.Context, _ *cli.IO) error {
	m, dir, err := manager()
	if err != nil {
		return err
	}
	id, err := dir.Resolve(c.Container)
	if err != nil {
		return err
	}
	return m.Disconnect(ctx, c.Network, id)
}
