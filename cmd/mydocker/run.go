package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
)

type run struct {
	container.RunOptions
	Print cli.OptionalWord `help:"Run nothing: print the equivalent pipeline of tools, or with --print=spec its document"`
	imageAndCommand
}

// imageAndCommand are the arguments of run and create.
type imageAndCommand struct {
	Args []string `arg:"" optional:"" name:"image" passthrough:"partial" help:"The image, if -i does not name it, and the command"`
}

// Run implements cli.Runner.
func (c *run) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	c.chooseImage(&c.CreateOptions)
	if c.Print.Given {
		return cli.About(subject(c.CreateOptions), c.print(ctx, e, std))
	}
	id, code, err := e.Run(ctx, c.RunOptions, c.Args, caller(std))
	if err != nil {
		return cli.About(subject(c.CreateOptions), err)
	}
	if c.Detach {
		_, err = fmt.Fprintln(std.Out, id)
		return err
	}
	return exit(code, nil)
}

// chooseImage takes the image from the arguments if no option names it.
func (a *imageAndCommand) chooseImage(o *container.CreateOptions) {
	if o.Image == "" && len(a.Args) > 0 {
		if o.Image, a.Args = a.Args[0], a.Args[1:]; len(a.Args) > 0 && a.Args[0] == "--" {
			a.Args = a.Args[1:]
		}
	}
}

// subject is the name under which errors of run and create are printed.
func subject(o container.CreateOptions) string { return cmp.Or(o.Name, o.Image) }

type create struct {
	container.CreateOptions
	imageAndCommand
}

// Run implements cli.Runner.
func (c *create) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	c.chooseImage(&c.CreateOptions)
	id, err := e.Create(ctx, c.CreateOptions, c.Args, caller(std))
	if err != nil {
		return cli.About(subject(c.CreateOptions), err)
	}
	_, err = fmt.Fprintln(std.Out, id)
	return err
}
