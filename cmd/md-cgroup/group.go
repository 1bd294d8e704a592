package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/state"
)

// groups are the arguments of the commands that act on groups one by one.
type groups struct {
	IDs []string `arg:"" name:"id" help:"Ids or names of containers"`
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

// find returns the id of a container that the user means. An id stands for itself: a group may have
// no container.
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

// open returns a group that is there.
func open(arg string) (*cgroup.Group, error) {
	m, id, err := find(arg)
	if err != nil {
		return nil, err
	}
	g, err := m.Open(id)
	if err == nil && !g.Exists() {
		err = fmt.Errorf("group %s: %w", g.Path, state.ErrNotFound)
	}
	return g, err
}

type set struct {
	cgroup.Limits
	ID string `arg:"" help:"The id or name of the container"`
}

func (c *set) Run(context.Context, *cli.IO) error {
	if err := c.Check(); err != nil {
		return err
	}
	r, err := c.Resources()
	if err != nil {
		return err
	}
	r.Devices = nil // stay as they are
	g, err := open(c.ID)
	if err != nil {
		return err
	}
	return g.Set(r)
}

type show struct{ groups }

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

func (c *freeze) Run(ctx context.Context, std *cli.IO) error {
	return c.each(std, "freeze", func(g *cgroup.Group) error { return g.Freeze(ctx) })
}

type thaw struct{ groups }

func (c *thaw) Run(ctx context.Context, std *cli.IO) error {
	return c.each(std, "thaw", func(g *cgroup.Group) error { return g.Thaw(ctx) })
}

type remove struct{ groups }

func (c *remove) Run(ctx context.Context, std *cli.IO) error {
	return cli.Each(std, "md-cgroup", "delete", c.IDs, func(arg string) error {
		m, id, err := find(arg)
		if err != nil {
			return err
		}
		return m.DeleteStandalone(ctx, id)
	})
}
