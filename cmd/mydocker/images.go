package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/spec"
)

// pull hands over to md-pull: the code that talks to registries is not in this program.
type pull struct {
	Quiet    bool     `short:"q" help:"Only print the digest"`
	Platform string   `help:"Pull the image for this platform, OS/ARCH[/VARIANT], not for the host's"`
	Insecure bool     `help:"Take registries that speak plain http, or https with a certificate that cannot be verified"`
	CertDir  string   `name:"cert-dir" placeholder:"DIR" help:"Take the registry's certificates (*.crt, *.cert with *.key) from this directory, not from certs.d"`
	Names    []string `arg:"" help:"What to pull"`
}

// Run implements cli.Runner.
func (c *pull) Run(ctx context.Context, std *cli.IO) error {
	var args []string
	if c.Quiet {
		args = append(args, "--quiet")
	}
	if c.Insecure {
		args = append(args, "--insecure")
	}
	if c.CertDir != "" {
		args = append(args, "--cert-dir", c.CertDir)
	}
	if c.Platform != "" {
		args = append(args, "--platform", c.Platform)
	}
	return mdPull(ctx, std, append(append(args, "--"), c.Names...)...)
}

// pullQuietly gets an image that a run needs: its words are no result, and go to standard error.
func pullQuietly(ctx context.Context, ref string, std *cli.IO) error {
	err := mdPull(ctx, std, "--stderr", "--", ref)
	var status cli.Status
	if errors.As(err, &status) {
		return cli.Status(cli.ExitOurs) // md-pull has said why
	}
	return err
}

func mdPull(ctx context.Context, std *cli.IO, args ...string) error {
	path, err := spec.Sibling("md-pull")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.In, std.Out, std.Err
	// A Ctrl-C reaches it by itself, a signal to us alone does not. It cleans up, so it is not killed unless that takes
	// too long.
	cmd.Cancel = func() error { return cmd.Process.Signal(cmp.Or(interrupt.Signal(), syscall.SIGINT)) }
	cmd.WaitDelay = interrupt.Patience + 100*time.Millisecond
	interrupt.Clean()
	err = cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err() // md-pull has said what there is to say
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return cli.Status(exit.ExitCode())
	}
	return err
}

type imageList struct {
	Quiet  bool   `short:"q" help:"Only print the ids"`
	Format string `enum:",table,json" default:"" help:"table, or json (one object per line)"`
}

// imageRow is one name of an image; its JSON is for programs.
type imageRow struct {
	ID      string    `json:"id"`
	Repo    string    `json:"repo"`
	Tag     string    `json:"tag"`
	Digest  string    `json:"digest"`
	Counts  int       `json:"counts"`
	Created time.Time `json:"created"`
	Size    int64     `json:"size"`
}

// Run implements cli.Runner.
func (c *imageList) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	images, err := e.Images.List(func(err error) { cli.Warn(std.Err, "mydocker", "%v", err) })
	if err != nil {
		return err
	}
	counts, err := e.ImageCounts()
	if err != nil {
		return err
	}
	if c.Quiet {
		for _, img := range images {
			fmt.Fprintln(std.Out, img.ID)
		}
		return nil
	}
	var rows []imageRow
	for _, img := range images {
		rows = append(rows, imageRows(img, counts[img.ConfigDigest.String()])...)
	}
	if c.Format == "json" {
		return cli.JSONLines(std.Out, rows)
	}
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = []string{r.ID, r.Repo, r.Tag, strconv.Itoa(r.Counts), cli.Local(r.Created), container.Size(r.Size)}
	}
	return cli.Table(std.Out, []string{"IMAGE ID", "REPO", "TAG", "COUNTS", "CREATED", "SIZE"}, cells)
}

// imageRows returns a row for each name; an image whose names went to a newer one has one row.
func imageRows(img *image.Image, counts int) []imageRow {
	row := imageRow{
		ID: img.ID, Repo: "<none>", Tag: "<none>", Digest: img.Digest.String(), Counts: counts,
		Created: img.Created, Size: img.Size,
	}
	if len(img.References) == 0 {
		return []imageRow{row}
	}
	var rows []imageRow
	for _, ref := range img.References {
		row.Repo, row.Tag = ref.Repo(), ref.Tag
		if row.Tag == "" {
			row.Tag = "<none>"
		}
		rows = append(rows, row)
	}
	return rows
}

type imageRemove struct {
	Images []string `arg:"" help:"Names or ids of images"`
}

// Run implements cli.Runner.
func (c *imageRemove) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return cli.Each(std, "mydocker", "rmi", c.Images, func(arg string) error {
		removed, err := e.RemoveImage(arg)
		if err != nil {
			return cli.About(arg, err)
		}
		return printRemoved(std, removed)
	})
}

// printRemoved prints what a removal did, in docker's words.
func printRemoved(std *cli.IO, removed *image.Removed) error {
	for _, name := range removed.Untagged {
		fmt.Fprintln(std.Out, "Untagged:", name)
	}
	for _, digest := range removed.Deleted {
		fmt.Fprintln(std.Out, "Deleted:", digest)
	}
	return nil
}

type imagePrune struct {
	All bool `short:"a" help:"All images that no container uses, not only those whose name went to a newer one"`
}

// Run implements cli.Runner.
func (c *imagePrune) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	removed, err := e.PruneImages(c.All)
	if removed != nil {
		_ = printRemoved(std, removed)
		fmt.Fprintf(std.Out, "Total reclaimed space: %s\n", container.Size(removed.Bytes))
	}
	return err
}

type imageTag struct {
	Image string `arg:"" help:"Name or id of an image"`
	Name  string `arg:"" help:"Name that it gets as well, NAME[:TAG]"`
}

// Run implements cli.Runner.
func (c *imageTag) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return cli.About(c.Image, e.Images.Tag(c.Image, c.Name))
}

type imageSave struct {
	Output string `short:"o" help:"Write to this file, not to standard output"`
	Image  string `arg:"" help:"Name or id of an image"`
}

// Run hands over to md-pull, as pull does.
func (c *imageSave) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	if _, err := e.Images.Resolve(c.Image); err != nil { // it would be pulled
		return cli.About(c.Image, err)
	}
	to := "-"
	if c.Output != "" {
		to = "docker-archive:" + c.Output
	}
	return mdPull(ctx, std, "--to", to, "--", c.Image)
}

type imageLoad struct {
	Input string `short:"i" help:"Read this file, not standard input"`
	Quiet bool   `short:"q" help:"Only print the digest"`
}

// Run implements cli.Runner.
func (c *imageLoad) Run(ctx context.Context, std *cli.IO) error {
	if c.Input == "" {
		return (&pull{Quiet: c.Quiet, Names: []string{"-"}}).Run(ctx, std)
	}
	file, err := os.Open(c.Input)
	if err != nil {
		return err
	}
	defer file.Close()
	from := *std
	from.In = file
	return (&pull{Quiet: c.Quiet, Names: []string{"-"}}).Run(ctx, &from)
}
