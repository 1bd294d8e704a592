package main

import (
	"context"
	_ "embed"
	"errors"
	"strings"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/registry"
	"github.com/weikeit/mydocker/lib/state"
)

//go:embed doc.go
var doc string

func main() {
	cli.Main(cli.Tool{Name: "md-pull", Doc: doc, Commands: []cli.Command{{
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
	CertDir  string   `name:"cert-dir" placeholder:"DIR" help:"Take the registry's certificates (*.crt, *.cert with *.key) from this directory, not from certs.d"`
	To       string   `name:"to" help:"Write the image there from the store, and pull it first only if it is missing: ocidir:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], or - for standard output"`
	Stderr   bool     `help:"Report on standard error" hidden:""`
}

// Run implements cli.Runner. An error about one image does not stop the others.
func (p *pull) Run(ctx context.Context, std *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	if p.To != "" && len(p.Names) > 1 && !strings.HasPrefix(p.To, "ocidir:") {
		return cli.Usagef("--to %s holds one image: name one", p.To)
	}
	if p.To == "-" && cli.IsTerminal(std.Out) {
		return cli.Usagef("an archive is nothing to read: name a file, or send standard output elsewhere")
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
	return cli.Each(std, "md-pull", "", p.Names, func(name string) error {
		if ctx.Err() != nil {
			return nil // the first has said so
		}
		if p.To != "" {
			done, err := p.export(ctx, store, name, std)
			if done || err != nil {
				return cli.About(name, err)
			}
		}
		var src image.Source
		var err error
		if image.IsLocal(name) {
			src, err = store.OpenSource(ctx, name, std.In)
		} else {
			src, err = registry.Open(ctx, refs[name], registry.Options{Insecure: p.Insecure, CertDir: p.CertDir, Notice: func(text string) { cli.Warn(std.Err, "md-pull", "%s", text) }})
		}
		if err == nil {
			err = p.pull(ctx, store, src, std)
		}
		if err == nil && p.To != "" {
			_, err = p.export(ctx, store, src.Reference().String(), std)
		}
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		return cli.About(name, err)
	})
}

// export writes an image of the store to its destination, if it is there.
func (p *pull) export(ctx context.Context, store *image.Store, name string, std *cli.IO) (done bool, err error) {
	err = store.Export(ctx, name, p.To, std.Out)
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (p *pull) pull(ctx context.Context, store *image.Store, src image.Source, std *cli.IO) error {
	defer src.Close()
	out := std.Out
	if p.Stderr || p.To == "-" {
		out = std.Err
	}
	screen := newScreen(out, src.Reference(), p.Quiet)
	result, err := image.Pull(ctx, store, src, image.PullOptions{Platform: p.Platform}, screen.event)
	screen.close()
	if err != nil {
		return err
	}
	return screen.result(result)
}
