package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/state"
)

// run limits a program that is no container.
type run struct {
	cgroup.Limits
	Command []string `arg:"" passthrough:"partial" help:"The program and its arguments"`
}

// Run implements cli.Runner.
func (c *run) Run(ctx context.Context, std *cli.IO) error {
	if len(c.Command) == 0 {
		return errNoProgram()
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
		return cli.Status(code)
	}
	return err
}

// execIn replaces this process by a program in a cgroup.
type execIn struct {
	ID      string   `arg:"" help:"Id of the cgroup, or id or name of its container"`
	Command []string `arg:"" passthrough:"partial" help:"The program and its arguments"`
}

// Run implements cli.Runner.
func (c *execIn) Run(context.Context, *cli.IO) error {
	if len(c.Command) == 0 {
		return errNoProgram()
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

// errNoProgram is for a command line that ends with "--".
func errNoProgram() error { return cli.Usagef("no program is named") }
