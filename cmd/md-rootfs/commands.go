package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/weikeit/mydocker/lib/bundle"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/monitor"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

type mount struct {
	rootfs.Options
	Spec  string   `placeholder:"FILE" help:"Fill in the document in this file (- for standard input), not a new one"`
	Image string   `arg:"" help:"Name or id of an image, a directory, an archive (tar), or - for an archive on standard input"`
	Args  []string `arg:"" optional:"" passthrough:"partial" help:"Program, or arguments of the image's entrypoint"`
}

// Run makes the document, or undoes one that was handed over.
func (c *mount) Run(ctx context.Context, std *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	s := spec.New(state.NewID())
	if c.Spec != "" {
		if s, err = (cli.StageFlags{Spec: c.Spec}).Read(std.In); err != nil {
			return err
		}
	}
	m := rootfs.New(dir)
	m.Warn = func(format string, args ...any) { cli.Warn(std.Err, "md-rootfs", format, args...) }
	if c.Spec != "-" { // else it was the document
		m.In = interrupt.Reader(std.In)
	}
	monitor.New(dir).Sweep(ctx, m.Warn) // what a pipe that was killed left may be in the way of this one
	if err := bundle.Open(dir).Sweep(); err != nil {
		m.Warn("clean up after bundles: %v", err)
	}
	m.Sweep(ctx)
	return cli.Emit(ctx, std, s, func(ctx context.Context, s *spec.Spec) error {
		err := m.Mount(c.Options, c.Image, c.Args)(ctx, s)
		var wrong *rootfs.OptionError
		switch {
		case errors.As(err, &wrong):
			return cli.Usagef("%w", err)
		case errors.Is(err, state.ErrNotFound):
			return fmt.Errorf("%w (md-pull gets it)", err)
		}
		return err
	})
}

type umount struct {
	ID []string `arg:"" help:"Containers: ids or names"`
}

// Run releases one container after the other. What is gone already is no error.
func (c *umount) Run(ctx context.Context, std *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	return cli.Each(std, "md-rootfs", "umount", c.ID, func(arg string) error {
		id, err := dir.Resolve(arg)
		switch {
		case errors.Is(err, state.ErrNotFound) && state.IsID(arg):
			id = arg
		case err != nil:
			return err
		}
		return rootfs.New(dir).UnmountAlone(ctx, id)
	})
}

type path struct {
	ID string `arg:"" help:"Container: id or name"`
}

func (c *path) Run(_ context.Context, std *cli.IO) error {
	dir, id, err := state.Find(c.ID)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, dir.Rootfs(id))
	return err
}

type diff struct {
	ID string `arg:"" help:"Container: id or name"`
}

func (c *diff) Run(ctx context.Context, std *cli.IO) error {
	dir, id, err := state.Find(c.ID)
	if err != nil {
		return err
	}
	changes, err := rootfs.New(dir).Diff(ctx, id)
	if err != nil {
		return err
	}
	for _, change := range changes {
		if _, err := fmt.Fprintln(std.Out, cli.OneLine(change.String())); err != nil {
			return err
		}
	}
	return nil
}
