// Md-pull brings images into the store.
//
//	md-pull [-q] [--platform OS/ARCH[/VARIANT]] [--insecure] [--debug] NAME...
//
// A NAME is of a registry, mysql:5.7.25, 127.0.0.1:5000/foo@sha256:… (docker.io and latest by
// default), or of an image without one: ocidir:DIR[:TAG], oci-archive:FILE[:TAG],
// docker-archive:FILE[:NAME], or - for an archive on standard input. It says how far it is on standard
// output, which ends with the digest; with -q that is all. What is there already is not fetched again.
//
// Logins are docker's (~/.docker/config.json). Mirrors: /etc/mydocker/registries.conf, see lib/registry.
//
// Exit status: 0 all are in the store; 1 at least one is not; 2 wrong usage.
package main

import (
	"context"
	"errors"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/registry"
	"github.com/weikeit/mydocker/lib/state"
)

func main() {
	cli.Main(cli.Tool{Name: "md-pull", Commands: []cli.Command{{
		Summary: "Pull an image from a registry",
		Usage:   "[command options] NAME[:TAG|@DIGEST]|ocidir:DIR[:TAG]|oci-archive:FILE[:TAG]|docker-archive:FILE[:NAME]|- ...",
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
	refs := make(map[string]image.Reference)
	for _, name := range p.Names {
		if image.IsLocal(name) {
			continue
		}
		if refs[name], err = image.ParseReference(name); err != nil {
			return cli.Usagef("%w", err)
		}
	}
	store := image.Open(dir)
	return cli.Each(io, "md-pull", "", p.Names, func(name string) error {
		if ctx.Err() != nil {
			return nil // the first has said so
		}
		var src image.Source
		var err error
		if image.IsLocal(name) {
			src, err = store.OpenSource(ctx, name, io.In)
		} else {
			src, err = registry.Open(ctx, refs[name], registry.Options{Insecure: p.Insecure})
		}
		if err == nil {
			err = p.pull(ctx, store, src, io)
		}
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		return cli.About(name, err)
	})
}

func (p *pull) pull(ctx context.Context, store *image.Store, src image.Source, io *cli.IO) error {
	defer src.Close()
	out := io.Out
	if p.Stderr {
		out = io.Err
	}
	screen := newScreen(out, src.Reference(), p.Quiet)
	result, err := image.Pull(ctx, store, src, image.PullOptions{Platform: p.Platform}, screen.event)
	screen.close()
	if err != nil {
		return err
	}
	return screen.result(result)
}
