package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/bundle"
	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
)

// The commands that only OCI runtimes have.

type create struct {
	Bundle string `short:"b" default:"." help:"Directory of config.json (default: this one)" placeholder:"DIR"`
	bundle.CreateFlags
	ID string `arg:"" help:"Id of the new container"`

	engine *engine
}

// Run implements cli.Runner.
func (c *create) Run(ctx context.Context, _ *cli.IO) error {
	return c.engine.report(c.ID, c.engine.bundles().Create(ctx, c.ID, c.Bundle, c.CreateFlags))
}

type start struct {
	ID string `arg:"" help:"Id of a container"`

	engine *engine
}

// Run implements cli.Runner.
func (c *start) Run(ctx context.Context, _ *cli.IO) error {
	return c.engine.with(c.ID, func(b *bundle.Container) error { return b.Start(ctx) })
}

type pause struct {
	ID string `arg:"" help:"Id of a container"`

	engine *engine
	frozen bool
}

// Run implements cli.Runner.
func (c *pause) Run(ctx context.Context, _ *cli.IO) error {
	return c.engine.with(c.ID, func(b *bundle.Container) error {
		if c.frozen {
			return b.Freeze(ctx)
		}
		return b.Thaw(ctx)
	})
}

type list struct {
	Format string `short:"f" default:"table" enum:"table,json" help:"table or json"`
	Quiet  bool   `short:"q" help:"Show the ids only"`

	engine *engine
}

// Run implements cli.Runner.
func (c *list) Run(_ context.Context, std *cli.IO) error {
	all, err := c.engine.bundles().List()
	if err != nil {
		return err
	}
	states := make([]bundle.State, 0, len(all))
	for _, b := range all {
		states = append(states, b.State())
	}
	if c.Format == "json" {
		return printJSON(std.Out, states)
	}
	w := tabwriter.NewWriter(cli.Screen(std.Out), 12, 1, 3, ' ', 0)
	if !c.Quiet {
		fmt.Fprintln(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER")
	}
	for _, s := range states {
		if c.Quiet {
			fmt.Fprintln(w, s.ID)
		} else {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", s.ID, s.Pid, s.Status, s.Bundle, s.Created.Format(time.RFC3339), s.Owner)
		}
	}
	return w.Flush()
}

type processes struct {
	Format string   `short:"f" default:"table" enum:"table,json" help:"table, as ps(1) prints it, or json"`
	ID     string   `arg:"" help:"Id of a container"`
	Args   []string `arg:"" optional:"" passthrough:"all" help:"Options for ps(1) (default: -ef)"`

	engine *engine
}

// Run implements cli.Runner.
func (c *processes) Run(ctx context.Context, std *cli.IO) error {
	return c.engine.with(c.ID, func(b *bundle.Container) error {
		pids, err := b.Processes()
		if err != nil {
			return err
		}
		if c.Format == "json" {
			return printJSON(std.Out, pids)
		}
		if len(c.Args) == 0 {
			c.Args = []string{"-ef"}
		}
		lines, err := spawn.PS(ctx, pids, c.Args)
		out := cli.NewLines(std.Out)
		for _, line := range lines {
			out.Printf("%s", line)
		}
		return errors.Join(err, out.Err())
	})
}

type update struct {
	Resources string `short:"r" help:"Read linux.resources from this file; - is standard input" placeholder:"FILE"`
	cgroup.Limits
	ID string `arg:"" help:"Id of a container"`

	engine *engine
}

// Run implements cli.Runner.
func (c *update) Run(_ context.Context, std *cli.IO) error {
	return c.engine.with(c.ID, func(b *bundle.Container) error {
		r, err := c.resources(std.In)
		if err != nil {
			return err
		}
		return b.Update(r)
	})
}

func (c *update) resources(in io.Reader) (*specs.LinuxResources, error) {
	if c.Resources == "" {
		return c.Limits.Resources()
	}
	if c.Resources != "-" {
		file, err := linux.OpenInput(c.Resources)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	r := &specs.LinuxResources{}
	if err := json.NewDecoder(io.LimitReader(in, spec.MaxSize)).Decode(r); err != nil {
		return nil, fmt.Errorf("read linux.resources: %w", err)
	}
	return r, nil
}

type document struct {
	Bundle string `short:"b" default:"." help:"Directory to write it to (default: this one)" placeholder:"DIR"`
}

// Run implements cli.Runner.
func (c *document) Run(_ context.Context, _ *cli.IO) error {
	s := spec.New("")
	s.Annotations, s.Hostname = nil, "md-spawn"
	s.Root = &specs.Root{Path: "rootfs", Readonly: true}
	s.Process.Args, s.Process.Terminal = []string{"sh"}, true
	s.Process.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"}
	data, err := s.Encode()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(c.Bundle, "config.json"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := file.Write(append(data, '\n')); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

type supported struct{}

// Run implements cli.Runner.
func (*supported) Run(_ context.Context, std *cli.IO) error {
	return printJSON(std.Out, spawn.Features())
}
