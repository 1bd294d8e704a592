package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/network"
	"github.com/weikeit/mydocker/lib/pipe"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

type attach struct {
	pipe.Input
	network.Options
	network.Place
	ID string `name:"id" placeholder:"ID" help:"With --pid or --netns: attach under this id, 12 hexadecimal digits (default: a random one)"`
}

// ReadsInput implements pipe.Reader: with --pid or --netns there is no document.
func (c *attach) ReadsInput() bool { return !c.Named() && c.Input.ReadsInput() }

// Run is a stage of the pipe or, with --pid or --netns, a separate command.
func (c *attach) Run(ctx context.Context, std *cli.IO) error {
	m, _, err := manager()
	if c.Named() {
		if err != nil {
			return err
		}
		return c.place(ctx, std, m)
	}
	if c.ID != "" {
		err = cli.Usagef("--id: the document has the id")
	}
	if err != nil { // reads the document, so that it can be undone
		return c.RunStage(ctx, std, func(context.Context, *spec.Spec) error { return err })
	}
	return c.RunStage(ctx, std, m.Attach(c.Options))
}

// place attaches a namespace without a document, and prints the id.
func (c *attach) place(ctx context.Context, std *cli.IO, m *network.Manager) error {
	if c.Spec != "" || c.Bundle != "" {
		return cli.Usagef("--pid and --netns need no document")
	}
	if c.PublishAll {
		return cli.Usagef("--publish-all: a namespace without a document exposes no ports")
	}
	if c.ID == "" {
		c.ID = state.NewID()
	}
	if err := m.AttachTo(ctx, c.ID, c.Place, c.Connection); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(std.Out, c.ID); err != nil {
		return errors.Join(err, m.Release(interrupt.Undoing(ctx), c.ID)) // the caller did not get the id
	}
	return nil
}

type detach struct {
	network.Place
	ID string `arg:"" optional:"" help:"The id"`
}

func (c *detach) Run(ctx context.Context, _ *cli.IO) error {
	m, _, err := manager()
	if err != nil {
		return err
	}
	switch {
	case c.Named() == (c.ID != ""):
		return cli.Usagef("want an id, --pid or --netns")
	case c.Named():
		return m.DetachFrom(ctx, c.Place)
	}
	// Not by name: when a hook runs, the rest of the container may be gone.
	return m.DetachAlone(ctx, c.ID)
}

type connect struct {
	network.ConnectOptions
	Network   string `arg:""`
	Container string `arg:""`
}

func (c *connect) Run(ctx context.Context, _ *cli.IO) error {
	dir, id, err := state.Find(c.Container)
	if err != nil {
		return err
	}
	return network.New(dir).Connect(ctx, c.Network, id, c.ConnectOptions)
}

type disconnect struct {
	Force     bool   `short:"f" help:"Free what the container still has in the network, even if it is gone"`
	Network   string `arg:""`
	Container string `arg:""`
}

func (c *disconnect) Run(ctx context.Context, _ *cli.IO) error {
	m, dir, err := manager()
	if err != nil {
		return err
	}
	id := c.Container
	if !c.Force || !state.IsID(id) { // with force the container may be gone
		if id, err = dir.Resolve(id); err != nil {
			return err
		}
	}
	return m.Disconnect(ctx, c.Network, id, c.Force)
}
