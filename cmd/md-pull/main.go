// Md-pull brings images into the store, from registries and without them.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/registry"
	"github.com/weikeit/mydocker/lib/state"
)

func main() {
	cli.Main(cli.Tool{Name: "md-pull", Commands: []cli.Command{{
		Summary: "Pull an image from a registry",
		Usage:   "[command options] NAME[:TAG|@DIGEST]|ocidir:DIR[:TAG]|oci-archive:FILE[:TAG]|docker-archive:FILE[:NAME]|-...",
		New:     func() cli.Runner { return &pull{} },
	}}})
}

type pull struct {
	Names    []string `arg:"" name:"name" help:"What to pull"`
	Quiet    bool     `short:"q" help:"Only print the digest"`
	Platform string   `help:"Pull the image for this platform, OS/ARCH[/VARIANT], not for the host's"`
	Insecure bool     `help:"Take registries that speak plain http, or https with a certificate that cannot be verified"`
	Stderr   bool     `help:"Report on standard error" hidden:""`
}

// Run implements cli.Runner. An error about one image does not stop the others.
func (p *pull) Run(ctx context.Context, io *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	store := image.Open(dir)
	return cli.Each(io, "md-pull", "", p.Names, func(name string) error {
		return p.one(ctx, store, name, io)
	})
}

func (p *pull) one(ctx context.Context, store *image.Store, name string, io *cli.IO) error {
	src, err := p.open(ctx, store, name, io.In)
	if err != nil {
		return cli.About(name, err)
	}
	defer src.Close()
	out := io.Out
	if p.Stderr {
		out = io.Err
	}
	screen := newScreen(out, src.Reference(), p.Quiet)
	result, err := image.Pull(ctx, store, src, image.PullOptions{Platform: p.Platform}, screen.event)
	screen.close()
	if err != nil {
		return cli.About(name, err)
	}
	return screen.result(result)
}

func (p *pull) open(ctx context.Context, store *image.Store, name string, stdin io.Reader) (image.Source, error) {
	if image.IsLocal(name) {
		return store.OpenSource(ctx, name, stdin)
	}
	ref, err := image.ParseReference(name)
	if err != nil {
		return nil, cli.Usagef("%w", err)
	}
	return registry.Open(ctx, ref, registry.Options{Insecure: p.Insecure})
}

func print(w io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(w, format, args...)
	return err
}
