package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/network"
	"github.com/weikeit/mydocker/lib/state"
)

// manager returns the networks of the state directory in the environment.
func manager() (*network.Manager, state.Dir, error) {
	dir, err := state.FromEnv()
	return network.New(dir), dir, err
}

type create struct {
	network.CreateOptions
	Name string `arg:""`
}

func (c *create) Run(ctx context.Context, std *cli.IO) error {
	m, _, err := manager()
	if err == nil {
		err = m.Create(ctx, c.Name, c.CreateOptions)
	}
	if err == nil {
		_, err = fmt.Fprintln(std.Out, c.Name)
	}
	return err
}

type list struct{}

func (*list) Run(_ context.Context, std *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	networks, unreadable := m.List()
	var rows [][]string
	for _, n := range networks {
		rows = append(rows, n.Row())
	}
	if err := cli.Table(std.Out, network.TableHeader(), rows); err != nil {
		return err
	}
	return unreadable
}

type inspect struct {
	Names []string `arg:"" name:"network"`
}

func (c *inspect) Run(_ context.Context, std *cli.IO) error {
	m, dir, err := manager()
	if err != nil {
		return err
	}
	return cli.Each(std, "md-net", "inspect", c.Names, func(name string) error {
		n, err := m.Inspect(name)
		if err == nil {
			return cli.JSON(std.Out, n.View())
		}
		id, notFound := dir.Resolve(name)
		if notFound != nil {
			return err
		}
		view, err := m.InspectContainer(id)
		if err != nil {
			return err
		}
		return cli.JSON(std.Out, view)
	})
}

type remove struct {
	Names []string `arg:"" name:"network"`
}

func (c *remove) Run(ctx context.Context, std *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	return cli.Each(std, "md-net", "rm", c.Names, func(name string) error {
		if err := m.Remove(ctx, name); err != nil {
			return err
		}
		_, err := fmt.Fprintln(std.Out, name)
		return err
	})
}

type prune struct{}

func (*prune) Run(ctx context.Context, std *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	return m.Prune(ctx, func(name string) error {
		_, err := fmt.Fprintln(std.Out, name)
		return err
	})
}

type reload struct{}

func (*reload) Run(ctx context.Context, _ *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	return m.Reload(ctx)
}

type port struct {
	Container string `arg:""`
	Port      string `arg:"" optional:""`
}

func (c *port) Run(_ context.Context, std *cli.IO) error {
	m, dir, err := manager()
	if err != nil {
		return err
	}
	id, err := dir.Resolve(c.Container)
	if err != nil {
		return err
	}
	lines, err := m.Published(id, c.Port)
	for _, line := range lines {
		fmt.Fprintln(std.Out, line)
	}
	return err
}
