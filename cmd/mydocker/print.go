package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// print prints the pipeline that is equivalent to the command line, or the document that it makes.
func (c *run) print(ctx context.Context, e *container.Engine, std *cli.IO) error {
	if c.TTY == nil {
		if c.ChooseTerminal(std.In, std.Out); !*c.TTY {
			c.TTY = nil // the default needs no option
		}
	}
	switch c.Print.Word {
	case "", "pipeline":
		return c.printPipeline(e, std)
	case "spec":
		s, err := e.Document(ctx, c.RunOptions, c.Args)
		if err != nil {
			return err
		}
		return s.Write(std.Out)
	}
	return cli.Usagef("--print=%.40s: want --print or --print=spec", c.Print.Word)
}

// printPipeline prints one stage per line, for a POSIX shell.
func (c *run) printPipeline(e *container.Engine, std *cli.IO) error {
	if err := e.Check(c.RunOptions); err != nil {
		return cli.Usagef("%w", err)
	}
	stages, err := c.stages()
	if err != nil {
		return err
	}
	text := ""
	if !rootfs.IsTree(c.Image) {
		_, err := e.Images.Resolve(c.Image)
		missing := errors.Is(err, state.ErrNotFound)
		switch {
		case c.Pulls(missing):
			text = linux.Quote(tool("md-pull"), "--stderr", "--", c.Image) + " && \\\n"
		case err != nil:
			return err
		}
	}
	for i, words := range stages {
		if i > 0 {
			text += " \\\n  | "
		}
		words[0] = tool(words[0])
		text += linux.Quote(words...)
	}
	_, err = fmt.Fprintln(std.Out, text)
	return err
}

// stages returns the words of each stage.
func (c *run) stages() ([][]string, error) {
	root, limits, net := c.RunOptions.Parts()
	var words [3][]string
	var errs [3]error
	for i, options := range []any{&root, &limits, &net} {
		words[i], errs[i] = cli.Words(options)
	}
	mount := append(append([]string{"md-rootfs", "mount"}, words[0]...), c.Image)
	if len(c.Args) > 0 {
		mount = append(append(mount, "--"), c.Args...)
	}
	last := []string{"md-spawn", "run"}
	if c.Detach {
		last = append(last, "--detach")
	}
	if !c.RunOptions.Remove {
		last = append(last, "--keep")
	}
	policies, err := cli.Words(&c.Policies)
	last = append(last, policies...)
	return [][]string{
		mount,
		append([]string{"md-cgroup", "create"}, words[1]...),
		append([]string{"md-net", "attach"}, words[2]...),
		last,
	}, errors.Join(append(errs[:], err)...)
}

// tool returns the name by which a shell finds the program beside this one: its path, if PATH finds another.
func tool(name string) string {
	beside, err := spec.Sibling(name)
	if err != nil {
		return name
	}
	if onPath, err := exec.LookPath(name); err == nil && onPath == beside {
		return name
	}
	return beside
}
