package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/pipe"
	"github.com/weikeit/mydocker/lib/state"
)

// create is the stage of the pipe, or makes a cgroup for an id without a document.
type create struct {
	pipe.Input
	cgroup.Options
	ID string `arg:"" optional:"" help:"Make the cgroup of this id, and read no document"`
}

// ReadsInput implements pipe.Reader.
func (c *create) ReadsInput() bool { return c.ID == "" && c.Input.ReadsInput() }

// Run implements cli.Runner.
func (c *create) Run(ctx context.Context, std *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	m := cgroup.New(dir)
	if c.ID == "" {
		return c.RunStage(ctx, std, m.Create(c.Options))
	}
	if c.Spec != "" || c.Bundle != "" || len(c.DeviceRule) > 0 {
		return cli.Usagef("with an id there is no document, and the cgroup limits no devices")
	}
	if err := m.Make(c.Limits, c.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, c.ID)
	return err
}
