package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/state"
)

type ps struct {
	container.ListOptions
	cli.ListFlags
}

// Run implements cli.Runner.
func (c *ps) Run(_ context.Context, std *cli.IO) error {
	list := cli.Listing[container.Row]{Header: container.Header(), Cells: container.Row.Cells, ID: container.Row.Key, Cut: "COMMAND"}
	show, err := list.Printer(c.ListFlags)
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
	rows, err := container.List(dir, c.ListOptions, warn(std))
	if err != nil {
		return err
	}
	return show(std.Out, rows)
}

type stats struct {
	container.StatsOptions
	Format     string   `enum:",table,json" default:"" help:"table, or json (one object per line)"`
	Containers []string `arg:"" optional:"" help:"Ids or names of containers (default: all that run)"`
}

// Run implements cli.Runner.
func (c *stats) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	list := cli.Listing[container.Usage]{Header: container.UsageHeader(), Cells: container.Usage.Cells}
	home := ""
	return e.Stats(ctx, c.Containers, c.StatsOptions, func(rows []container.Usage) error {
		fmt.Fprint(std.Out, home)
		if c.Format != "json" && cli.IsTerminal(std.Out) {
			home = "\033[H\033[2J" // the next table replaces this one
		}
		return list.Print(std.Out, cli.ListFlags{Format: c.Format}, rows)
	})
}

type top struct {
	Words []string `arg:"" name:"container" passthrough:"partial" help:"Id or name of a container, and options of ps(1)"`
}

// Run implements cli.Runner.
func (c *top) Run(ctx context.Context, std *cli.IO) error {
	options := c.Words[1:]
	return withContainer(std, c.Words[0], func(e *container.Engine, box *state.Container) error {
		if len(options) == 0 {
			rows, err := e.Top(box)
			if err != nil {
				return err
			}
			return cli.Table(std.Out, container.TopHeader(), rows)
		}
		lines, err := e.TopByPS(ctx, box, options)
		if err != nil {
			return err
		}
		return printLines(std, lines)
	})
}

// printLines prints lines that may come from an untrusted program.
func printLines(std *cli.IO, lines []string) error {
	out := cli.Screen(std.Out)
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

type inspect struct {
	Format  string   `short:"f" help:"Print this Go template for each, such as '{{.Status}}', and nothing else"`
	Objects []string `arg:"" help:"Ids or names of containers, images, networks or volumes"`
}

// Run prints the JSON to standard output, and the kind of each object to standard error.
func (c *inspect) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	if c.Format != "" {
		return printByTemplate(std, "inspect", c.Format, c.Objects, e.InspectFor)
	}
	return cli.Each(std, "mydocker", "inspect", c.Objects, func(arg string) error {
		kind, value, err := e.Inspect(arg)
		if err != nil {
			return cli.About(arg, err)
		}
		fmt.Fprintf(std.Err, "Showing %s as a %s:\n", arg, kind)
		return cli.JSON(std.Out, value)
	})
}

type diff struct {
	Container string `arg:"" help:"Id or name of a container"`
}

// Run prints a line for each path: A added, C changed, D deleted.
func (c *diff) Run(ctx context.Context, std *cli.IO) error {
	dir, id, err := state.Find(c.Container)
	if err != nil {
		return cli.About(c.Container, err)
	}
	changes, err := rootfs.New(dir).Diff(ctx, id)
	for _, change := range changes {
		if _, printErr := fmt.Fprintln(std.Out, cli.OneLine(change.String())); printErr != nil {
			return errors.Join(err, printErr)
		}
	}
	return cli.About(c.Container, err)
}
