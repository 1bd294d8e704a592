package main

import (
	"context"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/network"
)

type execIn struct {
	network.Place
	cli.Target
}

// Run replaces this process with the program, which has its streams, signals and exit code.
func (c *execIn) Run(context.Context, *cli.IO) error {
	if c.Named() {
		if len(c.Words) == 0 {
			return cli.Usagef("want a command")
		}
		path, err := c.Path()
		if err != nil {
			return err
		}
		return network.Exec(path, c.Words)
	}
	name, command, err := c.Split()
	if err != nil {
		return err
	}
	m, dir, err := manager()
	if err != nil {
		return err
	}
	id, err := dir.Resolve(name)
	if err != nil {
		return err
	}
	path, err := m.Namespace(id)
	if err != nil {
		return cli.About(name, err)
	}
	return network.Exec(path, command)
}
