package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/state"
)

// create is the stage of the pipe, or makes a group for an id alone.
type create struct {
	cli.StageFlags
	cgroup.Options
	ID string `arg:"" optional:"" help:"Make the group of this id, and read no document"`
}

func (c *create) Run(ctx context.Context, std *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	if c.Alone() {
		return c.make(cgroup.New(dir), std)
	}
	return c.RunStage(ctx, std, cgroup.New(dir).Create(c.Options))
}

// Alone implements cli.Alone.
func (c *create) Alone() bool { return c.ID != "" }

// make makes a group that no container has, and prints its id.
func (c *create) make(m *cgroup.Manager, std *cli.IO) error {
	if c.Spec != "" || c.Bundle != "" || len(c.DeviceRule) > 0 {
		return cli.Usagef("with an id there is no document, and the group limits no devices")
	}
	if err := m.Make(c.Limits, c.ID); err != nil {
		return err
	}
	_, err := fmt.Fprintln(std.Out, c.ID)
	return err
}

// run limits any program.
type run struct {
	cgroup.Limits
	Command []string `arg:"" passthrough:"partial" help:"The program and its arguments"`
}

func (c *run) Run(ctx context.Context, std *cli.IO) error {
	if len(c.Command) == 0 {
		return cli.Usagef("no program is named")
	}
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	id := state.NewID()
	launch := append([]string{self, "exec", id, "--"}, c.Command...)
	code, err := cgroup.New(dir).Run(ctx, c.Limits, id, launch, std.In, std.Out, std.Err)
	if err == nil && code != 0 {
		err = cli.Status(code)
	}
	return err
}

// execIn becomes a program in a group.
type execIn struct {
	ID      string   `arg:"" help:"The id of the group"`
	Command []string `arg:"" passthrough:"partial" help:"The program and its arguments"`
}

func (c *execIn) Run(context.Context, *cli.IO) error {
	if len(c.Command) == 0 {
		return cli.Usagef("no program is named")
	}
	g, err := open(c.ID)
	if err != nil {
		return err
	}
	err = g.Exec(c.Command)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return cli.WithCode(cli.ExitNotExec, err)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return cli.WithCode(cli.ExitNotFound, err)
	}
	return err
}
