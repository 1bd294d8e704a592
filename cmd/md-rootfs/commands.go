package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weikeit/mydocker/lib/bundle"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/monitor"
	"github.com/weikeit/mydocker/lib/pipe"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

type mount struct {
	rootfs.Options
	Spec  string   `placeholder:"FILE" help:"Fill in the document in this file (- for standard input) instead of a new one"`
	Image string   `arg:"" help:"Name or id of an image, or a directory, or a tar archive (- for standard input)"`
	Args  []string `arg:"" optional:"" passthrough:"partial" help:"Arguments of the image's entrypoint, or the program if it has none"`
}

// Run implements cli.Runner.
func (c *mount) Run(ctx context.Context, std *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	s, err := c.document(std.In)
	if err != nil {
		return err
	}
	m := rootfs.New(dir)
	m.Warn = func(format string, args ...any) { cli.Warn(std.Err, "md-rootfs", format, args...) }
	if c.Spec != "-" { // standard input is not the document
		m.In = interrupt.Reader(std.In)
	}
	sweep(ctx, dir, m)
	return pipe.Emit(ctx, std, s, func(ctx context.Context, s *spec.Spec) error {
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

// document returns a new document, or the one that --spec names.
func (c *mount) document(in io.Reader) (*spec.Spec, error) {
	if c.Spec == "" {
		return spec.New(state.NewID()), nil
	}
	return pipe.Input{Spec: c.Spec}.Read(in)
}

// sweep removes what killed commands left, such as a container with the same name.
func sweep(ctx context.Context, dir state.Dir, m *rootfs.Manager) {
	monitor.New(dir).Sweep(ctx, m.Warn)
	if err := bundle.Open(dir).Sweep(); err != nil {
		m.Warn("clean up after bundles: %v", err)
	}
	m.Sweep(ctx)
}

type umount struct {
	IDs []string `arg:"" name:"id" help:"Ids or names of containers"`
}

// Run implements cli.Runner. A root that is not mounted is no error.
func (c *umount) Run(ctx context.Context, std *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	return cli.Each(std, "md-rootfs", "umount", c.IDs, func(arg string) error {
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
	ID string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *path) Run(_ context.Context, std *cli.IO) error {
	dir, id, err := state.Find(c.ID)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, dir.Rootfs(id))
	return err
}

type diff struct {
	ID string `arg:"" help:"Id or name of a container"`
}

// Run prints a line for each path: A added, C changed, D deleted.
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
