package main

import (
	"context"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
)

// printByTemplate prints a line for each object.
func printByTemplate[T any](std *cli.IO, command, format string, args []string, find func(arg string) (T, error)) error {
	t, err := cli.ParseTemplate(format, nil)
	if err != nil {
		return err
	}
	return cli.Each(std, "mydocker", command, args, func(arg string) error {
		value, err := find(arg)
		if err != nil {
			return cli.About(arg, err)
		}
		return cli.About(arg, t.Print(std.Out, value))
	})
}

// printArray prints an array of all objects that exist, as docker does. An error about one does not stop the others.
func printArray[T any](std *cli.IO, command string, args []string, find func(arg string) (T, error)) error {
	values := []T{}
	failed := cli.Each(std, "mydocker", command, args, func(arg string) error {
		value, err := find(arg)
		if err == nil {
			values = append(values, value)
		}
		return cli.About(arg, err)
	})
	if err := cli.JSON(std.Out, values); err != nil {
		return err
	}
	return failed
}

type containerInspect struct {
	Format     string   `short:"f" help:"Print this Go template for each, such as '{{.State.Status}}', and nothing else"`
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// Run implements cli.Runner.
func (c *containerInspect) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	find := func(arg string) (container.DockerContainer, error) {
		box, err := e.Load(arg)
		if err != nil {
			return container.DockerContainer{}, err
		}
		return e.Docker(box)
	}
	if c.Format != "" {
		return printByTemplate(std, "container inspect", c.Format, c.Containers, find)
	}
	return printArray(std, "container inspect", c.Containers, find)
}

type imageInspect struct {
	Format string   `short:"f" help:"Print this Go template for each, such as '{{.Architecture}}', and nothing else"`
	Images []string `arg:"" help:"Names or ids of images"`
}

// Run implements cli.Runner.
func (c *imageInspect) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	find := func(arg string) (container.DockerImage, error) {
		img, err := e.Images.Resolve(arg)
		if err != nil {
			return container.DockerImage{}, err
		}
		return container.NewDockerImage(img), nil
	}
	if c.Format != "" {
		return printByTemplate(std, "image inspect", c.Format, c.Images, find)
	}
	return printArray(std, "image inspect", c.Images, find)
}

type volumeInspect struct {
	Format  string   `short:"f" help:"Print this Go template for each, such as '{{.Mountpoint}}', and nothing else"`
	Volumes []string `arg:"" help:"Names of volumes"`
}

// Run implements cli.Runner.
func (c *volumeInspect) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	if c.Format != "" {
		return printByTemplate(std, "volume inspect", c.Format, c.Volumes, e.Volume)
	}
	return printArray(std, "volume inspect", c.Volumes, e.Volume)
}
