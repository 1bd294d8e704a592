package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

type systemCheck struct {
	JSON bool `name:"json" help:"One JSON object per line"`
	Fix  bool `help:"Remove what is found"`
}

// Run says by its exit code whether there is something that nobody owns and that stays. What is kept for a purpose is
// shown, and is neither.
func (c *systemCheck) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	found, err := e.Orphans(ctx)
	if c.JSON {
		err = errors.Join(err, cli.JSONLines(std.Out, found))
	} else {
		for _, r := range found {
			fmt.Fprintf(std.Out, "%s %s: %s\n", r.Kind, r.Name, r.Reason)
		}
	}
	found = slices.DeleteFunc(found, func(r state.Orphan) bool { return r.Kept })
	if c.Fix { // also where not all could be looked at: an error about one does not stop the others
		return bothErrors(err, removeAll(ctx, std, "system check", found, func(state.Orphan) {}))
	}
	if err == nil && len(found) > 0 {
		return cli.Status(cli.ExitFailed)
	}
	return err
}

// bothErrors is what could not be looked at, and what could not be removed, of which the user was told.
func bothErrors(looked, removed error) error {
	if looked != nil {
		return looked
	}
	return removed
}

type systemPrune struct{}

// Run removes all that `system check` shows, and says what that was.
func (c *systemPrune) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	found, err := e.Orphans(ctx)
	found = slices.DeleteFunc(found, func(r state.Orphan) bool { return r.Remove == nil })
	return bothErrors(err, removeAll(ctx, std, "system prune", found, func(r state.Orphan) { fmt.Fprintf(std.Out, "%s %s\n", r.Kind, r.Name) }))
}

// removeAll removes what nobody owns. An error about one does not stop the others.
func removeAll(ctx context.Context, std *cli.IO, command string, found []state.Orphan, removed func(state.Orphan)) error {
	names, remains := make([]string, len(found)), make(map[string]state.Orphan, len(found))
	for i, r := range found {
		names[i] = r.Kind + " " + r.Name
		remains[names[i]] = r
	}
	return cli.Each(std, "mydocker", command, names, func(name string) error {
		if err := remains[name].Remove(ctx); err != nil {
			return cli.About(name, err)
		}
		removed(remains[name])
		return nil
	})
}

type systemDF struct {
	Format string `enum:",table,json" default:"" help:"table, or json (one object per line)"`
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
	if c.Format == "json" {
		return cli.JSONLines(std.Out, rows)
	}
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = []string{r.Kind, strconv.Itoa(r.Count), strconv.Itoa(r.Active), container.Size(r.Size), container.Size(r.Free)}
	}
	return cli.Table(std.Out, []string{"TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"}, cells)
}

type systemBoot struct{}

// Run prints the ids of the containers that it starts.
func (c *systemBoot) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return e.Boot(ctx, func(c *state.Container) { fmt.Fprintln(std.Out, c.ID) })
}
