package main

import (
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

// containers are the arguments of the commands that work on several containers.
type containers struct {
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// loader is [container.Engine.Load] or [container.Engine.LoadAnyway].
type loader func(e *container.Engine, arg string) (*state.Container, error)

// each calls do for every container. An error about one does not stop the others.
func (c containers) each(std *cli.IO, command string, load loader, do func(*container.Engine, *state.Container) error) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return cli.Each(std, "mydocker", command, c.Containers, func(arg string) error {
		box, err := load(e, arg)
		if err != nil {
			return cli.About(arg, err)
		}
		return cli.About(arg, do(e, box))
	})
}

// eachPrinted is each for existing containers, and prints the ids of those without an error.
func (c containers) eachPrinted(std *cli.IO, command string, do func(*container.Engine, *state.Container) error) error {
	return c.each(std, command, (*container.Engine).Load, func(e *container.Engine, box *state.Container) error {
		if err := do(e, box); err != nil {
			return err
		}
		return printID(std, box)
	})
}

func printID(std *cli.IO, box *state.Container) error {
	_, err := fmt.Fprintln(std.Out, box.ID)
	return err
}

// withContainer calls do for one container.
func withContainer(std *cli.IO, arg string, do func(*container.Engine, *state.Container) error) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	box, err := e.Load(arg)
	if err != nil {
		return cli.About(arg, err)
	}
	return cli.About(arg, do(e, box))
}

// exit turns the exit code of a program into the one of the command.
func exit(code int, err error) error {
	if err == nil && code != 0 {
		return cli.Status(code)
	}
	return err
}

// engine returns the engine of the state directory that the environment names.
func engine(std *cli.IO) (*container.Engine, error) {
	dir, err := state.FromEnv()
	if err != nil {
		return nil, err
	}
	return container.New(dir, func(format string, args ...any) { cli.Warn(std.Err, "mydocker", format, args...) }), nil
}

// warn returns a function that prints an error as a warning.
func warn(std *cli.IO) func(error) {
	return func(err error) { cli.Warn(std.Err, "mydocker", "%v", err) }
}

// caller returns the streams of the command and how it pulls.
func caller(std *cli.IO) container.Caller {
	return container.Caller{
		In: std.In, Out: std.Out, Err: std.Err,
		Pull: func(ctx context.Context, ref string) error { return pullForRun(ctx, ref, std) },
	}
}
