package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

type systemCheck struct {
	JSON bool `name:"json" help:"Print one JSON object per line"`
	Fix  bool `help:"Remove the orphans, and repair networks"`
}

// Run exits with 1 if there are orphans. It prints those that are kept for a purpose too, but does not count them.
func (c *systemCheck) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	found, err := e.Orphans(ctx)
	if c.JSON {
		err = errors.Join(err, cli.JSONLines(std.Out, found))
	} else {
		out := cli.NewLines(std.Out)
		for _, o := range found {
			out.Printf("%s %s: %s", o.Kind, o.Name, o.Reason)
		}
		err = errors.Join(err, out.Err())
	}
	found = slices.DeleteFunc(found, func(o state.Orphan) bool { return o.Kept })
	if c.Fix { // after an error too: some parts of the state could be searched
		return cmp.Or(err, removeAll(ctx, std, "system check", found, func(state.Orphan) {}))
	}
	if err == nil && len(found) > 0 {
		return cli.Status(cli.ExitFailed)
	}
	return err
}

type systemPrune struct{ pruneForce }

// Run removes everything that `system check` shows, and prints it.
func (c *systemPrune) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	found, err := e.Orphans(ctx)
	found = slices.DeleteFunc(found, func(o state.Orphan) bool { return o.Remove == nil })
	if len(found) > 0 && !c.agreed(std, "what system check shows") {
		return nil
	}
	out := cli.NewLines(std.Out)
	err = cmp.Or(err, removeAll(ctx, std, "system prune", found, func(o state.Orphan) { out.Printf("%s %s", o.Kind, o.Name) }))
	return cmp.Or(err, out.Err())
}

// removeAll removes orphans and calls removed for each. An error about one does not stop the others.
func removeAll(ctx context.Context, std *cli.IO, command string, found []state.Orphan, removed func(state.Orphan)) error {
	names, orphans := make([]string, len(found)), make(map[string]state.Orphan, len(found))
	for i, o := range found {
		names[i] = o.Kind + " " + o.Name
		orphans[names[i]] = o
	}
	return cli.Each(std, "mydocker", command, names, func(name string) error {
		if err := orphans[name].Remove(ctx); err != nil {
			return cli.About(name, err)
		}
		removed(orphans[name])
		return nil
	})
}

type systemDF struct {
	Format string `help:"table, json (one object per line), or a Go template such as '{{.Kind}}' (default: table)"`
}

// Run implements cli.Runner.
func (c *systemDF) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	rows, err := e.DiskUse(ctx)
	if err != nil {
		return err
	}
	return cli.Listing[container.DiskRow]{
		Header: []string{"TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"},
		Cells: func(r container.DiskRow) []string {
			return []string{r.Kind, strconv.Itoa(r.Count), strconv.Itoa(r.Active), container.Size(r.Size), container.Size(r.Free)}
		},
	}.Print(std.Out, cli.ListFlags{Format: c.Format}, rows)
}

type systemBoot struct{}

// Run prints the ids of the containers that it starts.
func (c *systemBoot) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	out := cli.NewLines(std.Out)
	return errors.Join(e.Boot(ctx, func(c *state.Container) { out.Printf("%s", c.ID) }), out.Err())
}
