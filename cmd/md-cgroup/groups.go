package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/state"
)

// groups are the arguments of the commands that work on several cgroups.
type groups struct {
	IDs []string `arg:"" name:"id" help:"Ids of cgroups, or ids or names of their containers"`
}

func (c groups) each(std *cli.IO, command string, f func(*cgroup.Group) error) error {
	return cli.Each(std, "md-cgroup", command, c.IDs, func(arg string) error {
		g, err := open(arg)
		if err != nil {
			return err
		}
		return f(g)
	})
}

// find returns the id that arg names. A full id is not looked up: a cgroup may have no container.
func find(arg string) (*cgroup.Manager, string, error) {
	dir, err := state.FromEnv()
	if err != nil {
		return nil, "", err
	}
	if !state.IsID(arg) {
		if arg, err = dir.Resolve(arg); err != nil {
			return nil, "", err
		}
	}
	return cgroup.New(dir), arg, nil
}

// open returns an existing cgroup.
func open(arg string) (*cgroup.Group, error) {
	m, id, err := find(arg)
	if err != nil {
		return nil, err
	}
	g, err := m.Open(id)
	if err != nil {
		return nil, err
	}
	if !g.Exists() {
		return nil, fmt.Errorf("cgroup %s: %w", g.Path, state.ErrNotFound)
	}
	return g, nil
}

type set struct {
	cgroup.Limits
	ID string `arg:"" help:"Id of the cgroup, or id or name of its container"`
}

// Run implements cli.Runner.
func (c *set) Run(context.Context, *cli.IO) error {
	if err := c.Check(); err != nil {
		return err
	}
	r, err := c.Resources()
	if err != nil {
		return err
	}
	r.Devices = nil // no option of this command sets them
	g, err := open(c.ID)
	if err != nil {
		return err
	}
	return g.Set(r)
}

type show struct{ groups }

// Run implements cli.Runner.
func (c *show) Run(_ context.Context, std *cli.IO) error {
	return c.each(std, "show", func(g *cgroup.Group) error {
		stats, err := g.Stats()
		if err != nil {
			return err
		}
		return cli.JSON(std.Out, stats)
	})
}

type procs struct{ groups }

// Run implements cli.Runner.
func (c *procs) Run(_ context.Context, std *cli.IO) error {
	return c.each(std, "procs", func(g *cgroup.Group) error {
		pids, err := g.Procs()
		for _, pid := range pids {
			fmt.Fprintln(std.Out, pid)
		}
		return err
	})
}

type freeze struct{ groups }

// Run implements cli.Runner.
func (c *freeze) Run(ctx context.Context, std *cli.IO) error {
	return c.each(std, "freeze", func(g *cgroup.Group) error { return g.Freeze(ctx) })
}

type thaw struct{ groups }

// Run implements cli.Runner.
func (c *thaw) Run(ctx context.Context, std *cli.IO) error {
	return c.each(std, "thaw", func(g *cgroup.Group) error { return g.Thaw(ctx) })
}

type remove struct{ groups }

// Run implements cli.Runner.
func (c *remove) Run(ctx context.Context, std *cli.IO) error {
	return cli.Each(std, "md-cgroup", "delete", c.IDs, func(arg string) error {
		m, id, err := find(arg)
		if err != nil {
			return err
		}
		return m.DeleteStandalone(ctx, id)
	})
}
