package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker/go-units"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/spec"
)

// pull executes md-pull: the code for registries is not linked into mydocker.
type pull struct {
	image.PullFlags
	Names []string `arg:"" help:"Images to pull, e.g. mysql:5.7.25"`
}

// Run implements cli.Runner.
func (c *pull) Run(ctx context.Context, std *cli.IO) error {
	args, err := cli.Words(&c.PullFlags)
	if err != nil {
		return err
	}
	return mdPull(ctx, std, append(append(args, "--"), c.Names...)...)
}

// pullForRun pulls the image of a run. Its messages go to standard error.
func pullForRun(ctx context.Context, ref string, std *cli.IO) error {
	err := mdPull(ctx, std, "--stderr", "--", ref)
	var status cli.Status
	if errors.As(err, &status) {
		return cli.Status(cli.ExitOurs) // md-pull has printed the error
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
	// Ctrl-C reaches md-pull too, but a signal to this process alone does not. md-pull cleans up, so it is killed only if
	// that takes too long.
	cmd.Cancel = func() error { return cmd.Process.Signal(cmp.Or(interrupt.Signal(), syscall.SIGINT)) }
	cmd.WaitDelay = interrupt.Patience + 100*time.Millisecond
	interrupt.Clean()
	err = cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err() // md-pull has printed the error
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return cli.Status(exit.ExitCode())
	}
	return err
}

type imageList struct {
	Quiet  bool   `short:"q" help:"Only print the ids"`
	Format string `help:"table, json (one object per line), or a Go template such as '{{.Repository}}' (default: table)"`
	Name   string `arg:"" optional:"" help:"Only images with this name, NAME[:TAG]; * matches any part of it"`
}

// imageRow is one name of an image. Its JSON is for programs.
type imageRow struct {
	ID      string    `json:"id"`
	Repo    string    `json:"repo"`
	Tag     string    `json:"tag"`
	Digest  string    `json:"digest"`
	Counts  int       `json:"counts"`
	Created time.Time `json:"created"`
	Size    imageSize `json:"size"`
}

// imageSize is a number of bytes, which templates show as the table does.
type imageSize int64

func (s imageSize) String() string { return container.Size(int64(s)) }

// Names of docker for templates.

// Repository is Repo.
func (r imageRow) Repository() string { return r.Repo }

// CreatedAt is Created.
func (r imageRow) CreatedAt() string { return container.FormatTime(r.Created) }

// CreatedSince says how long ago the image was created.
func (r imageRow) CreatedSince() string { return units.HumanDuration(time.Since(r.Created)) + " ago" }

// Run implements cli.Runner.
func (c *imageList) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	images, err := e.Images.List(warn(std))
	if err != nil {
		return err
	}
	if c.Name != "" {
		images = namedImages(images, c.Name)
	}
	counts, err := e.ImageCounts()
	if err != nil {
		return err
	}
	if c.Quiet {
		out := cli.NewLines(std.Out)
		for _, img := range images {
			out.Printf("%s", img.ID)
		}
		return out.Err()
	}
	var rows []imageRow
	for _, img := range images {
		rows = append(rows, imageRows(img, counts[img.ConfigDigest.String()])...)
	}
	return cli.Listing[imageRow]{
		Header: []string{"IMAGE ID", "REPO", "TAG", "COUNTS", "CREATED", "SIZE"}, Cells: imageRow.cells,
	}.Print(std.Out, cli.ListFlags{Format: c.Format}, rows)
}

func (r imageRow) cells() []string {
	return []string{r.ID, r.Repo, r.Tag, strconv.Itoa(r.Counts), r.CreatedAt(), r.Size.String()}
}

// namedImages returns the images with a name that matches, without their other names. A pattern without a tag matches all
// tags.
func namedImages(images []*image.Image, pattern string) []*image.Image {
	matches := func(ref image.Reference) bool {
		for _, name := range []string{ref.Repo(), ref.Repo() + ":" + ref.Tag, ref.Domain + "/" + ref.Path, ref.Domain + "/" + ref.Path + ":" + ref.Tag} {
			if ok, err := path.Match(pattern, name); ok && err == nil {
				return true
			}
		}
		return false
	}
	var found []*image.Image
	for _, img := range images {
		named := *img
		named.References = slices.DeleteFunc(slices.Clone(img.References), func(ref image.Reference) bool { return !matches(ref) })
		if len(named.References) > 0 {
			found = append(found, &named)
		}
	}
	return found
}

// imageRows returns a row for each name of an image, or one row if it has none.
func imageRows(img *image.Image, counts int) []imageRow {
	row := imageRow{
		ID: img.ID, Repo: "<none>", Tag: "<none>", Digest: img.Digest.String(), Counts: counts,
		Created: img.Created, Size: imageSize(img.Size),
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
	Force  bool     `short:"f" help:"Remove all names of an image given by its id, and ignore images that do not exist"`
	Images []string `arg:"" help:"Names or ids of images"`
}

// Run implements cli.Runner.
func (c *imageRemove) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	out := cli.NewLines(std.Out)
	return cli.Each(std, "mydocker", "rmi", c.Images, func(arg string) error {
		for _, name := range c.names(e, arg) {
			removed, err := e.RemoveImage(name)
			if c.Force && warnMissing(std, err, "image", arg) {
				return nil
			}
			if err != nil {
				return cli.About(arg, err)
			}
			printRemoved(out, removed)
		}
		return out.Err()
	})
}

// names returns the names to remove for an argument: with force, all names of an image that is given by its id.
func (c *imageRemove) names(e *container.Engine, arg string) []string {
	img, err := e.Images.Resolve(arg)
	if !c.Force || err != nil || len(img.References) < 2 || !strings.HasPrefix(img.ConfigDigest.Encoded(), strings.TrimPrefix(arg, "sha256:")) {
		return []string{arg}
	}
	names := make([]string, len(img.References))
	for i, ref := range img.References {
		names[i] = ref.String()
	}
	return names
}

// printRemoved prints what a removal did, in docker's words.
func printRemoved(out *cli.Lines, removed *image.Removed) {
	for _, name := range removed.Untagged {
		out.Printf("Untagged: %s", name)
	}
	for _, digest := range removed.Deleted {
		out.Printf("Deleted: %s", digest)
	}
}

type imagePrune struct {
	pruneForce
	All bool `short:"a" help:"All images that no container uses, not only unnamed ones"`
}

// Run implements cli.Runner.
func (c *imagePrune) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	what := "all unnamed images that no container uses"
	if c.All {
		what = "all images that no container uses"
	}
	if !c.agreed(std, what) {
		return nil
	}
	removed, err := e.PruneImages(c.All)
	if removed == nil {
		return err
	}
	out := cli.NewLines(std.Out)
	printRemoved(out, removed)
	out.Printf("Total reclaimed space: %s", container.Size(removed.Bytes))
	return errors.Join(err, out.Err())
}

type imageTag struct {
	Image string `arg:"" help:"Name or id of an image"`
	Name  string `arg:"" help:"The additional name, NAME[:TAG]"`
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
	Output string `short:"o" help:"Write to this file instead of standard output"`
	Image  string `arg:"" help:"Name or id of an image"`
}

// Run executes md-pull, as pull does.
func (c *imageSave) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	if _, err := e.Images.Resolve(c.Image); err != nil { // md-pull would pull a missing image
		return cli.About(c.Image, err)
	}
	to := "-"
	if c.Output != "" {
		to = "docker-archive:" + c.Output
	}
	return mdPull(ctx, std, "--to", to, "--", c.Image)
}

type imageLoad struct {
	Input string `short:"i" help:"Read this file instead of standard input"`
	Quiet bool   `short:"q" help:"Only print the digest"`
}

// Run implements cli.Runner.
func (c *imageLoad) Run(ctx context.Context, std *cli.IO) error {
	from := *std
	if c.Input != "" {
		file, err := os.Open(c.Input)
		if err != nil {
			return err
		}
		defer file.Close()
		from.In = file
	}
	return (&pull{PullFlags: image.PullFlags{Quiet: c.Quiet}, Names: []string{"-"}}).Run(ctx, &from)
}
