package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/state"
)

// volumes returns the manager of the volumes.
func volumes() (*rootfs.Manager, error) {
	dir, err := state.FromEnv()
	return rootfs.New(dir), err
}

type volumeCreate struct {
	Name string `arg:"" optional:"" help:"Name of the volume (default: a random one)"`
}

// Run implements cli.Runner.
func (c *volumeCreate) Run(_ context.Context, std *cli.IO) error {
	m, err := volumes()
	if err != nil {
		return err
	}
	name, err := m.CreateVolume(c.Name)
	if err != nil {
		return cli.About(c.Name, err)
	}
	_, err = fmt.Fprintln(std.Out, name)
	return err
}

type volumeList struct {
	Quiet  bool   `short:"q" help:"Only print the names"`
	Format string `help:"table, json (one object per line), or a Go template such as '{{.Name}}' (default: table)"`
}

// Run implements cli.Runner.
func (c *volumeList) Run(_ context.Context, std *cli.IO) error {
	m, err := volumes()
	if err != nil {
		return err
	}
	rows, err := m.Volumes(warn(std))
	if err != nil {
		return err
	}
	return cli.Listing[rootfs.VolumeRow]{
		Header: []string{"NAME", "DRIVER", "COUNTS", "CREATED"},
		Cells: func(r rootfs.VolumeRow) []string {
			return []string{r.Name, r.Driver, strconv.Itoa(len(r.Containers)), container.FormatTime(r.Created)}
		},
		ID: func(r rootfs.VolumeRow) string { return r.Name },
	}.Print(std.Out, cli.ListFlags{Quiet: c.Quiet, Format: c.Format}, rows)
}

type volumeRemove struct {
	Force   bool     `short:"f" help:"Ignore volumes that do not exist"`
	Volumes []string `arg:"" help:"Names of volumes"`
}

// Run implements cli.Runner.
func (c *volumeRemove) Run(_ context.Context, std *cli.IO) error {
	m, err := volumes()
	if err != nil {
		return err
	}
	return cli.Each(std, "mydocker", "volume rm", c.Volumes, func(name string) error {
		err := m.RemoveVolume(name)
		if c.Force && warnMissing(std, err, "volume", name) {
			return nil
		}
		if err != nil {
			return cli.About(name, err)
		}
		_, err = fmt.Fprintln(std.Out, name)
		return err
	})
}

type volumePrune struct {
	pruneForce
	All bool `short:"a" help:"All volumes that no container uses, not only anonymous ones"`
}

// Run removes the volumes that no container uses, and prints their names.
func (c *volumePrune) Run(ctx context.Context, std *cli.IO) error {
	m, err := volumes()
	if err != nil {
		return err
	}
	rows, err := m.Volumes(warn(std))
	if err != nil {
		return err
	}
	if !c.agreed(std, "volumes that no container uses, with their data") {
		return nil
	}
	var unused []string
	for _, r := range rows {
		if len(r.Containers) == 0 && (r.Anonymous || c.All) {
			unused = append(unused, r.Name)
		}
	}
	return (&volumeRemove{Volumes: unused}).Run(ctx, std)
}
