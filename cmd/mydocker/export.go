package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

type export struct {
	Output    string `short:"o" help:"Write to this file instead of standard output"`
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *export) Run(ctx context.Context, std *cli.IO) error {
	if c.Output == "" && cli.IsTerminal(std.Out) {
		return cli.Usagef("standard output is a terminal: redirect it, or name a file (-o)")
	}
	return withContainer(std, c.Container, func(e *container.Engine, box *state.Container) error {
		write := func(w io.Writer) error { return e.Export(ctx, box, w) }
		if c.Output == "" {
			return write(std.Out)
		}
		return writeWhole(c.Output, write)
	})
}

// writeWhole writes a file under a temporary name and renames it when it is complete. A device or pipe is written in
// place.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(file), file.Close())
	}
	temp := filepath.Join(filepath.Dir(path), state.TempPrefix+filepath.Base(path))
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	err = write(file)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}
