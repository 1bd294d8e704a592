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
		New:     cli.New[pull],
	}}})
}

type pull struct {
	image.PullFlags
	To     string   `name:"to" help:"Write the image from the store to ocidir:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], or - for standard output, and pull it only if it is missing"`
	Stderr bool     `help:"Report on standard error" hidden:""`
	Names  []string `arg:"" help:"NAME[:TAG|@DIGEST], ocidir:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], or - for an archive on standard input"`
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
		return cli.Usagef("standard output is a terminal: redirect it, or name a file")
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
			return nil // the error of the image before is printed
		}
		err := p.one(ctx, store, name, refs[name], std)
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		return cli.About(name, err)
	})
}

// one pulls an image, or with --to exports it, and pulls it first if it is missing.
func (p *pull) one(ctx context.Context, store *image.Store, name string, ref image.Reference, std *cli.IO) error {
	if p.To != "" {
		if done, err := p.export(ctx, store, name, std); done || err != nil {
			return err
		}
	}
	src, err := p.open(ctx, store, name, ref, std)
	if err != nil {
		return err
	}
	if err := p.pull(ctx, store, src, std); err != nil || p.To == "" {
		return err
	}
	_, err = p.export(ctx, store, src.Reference().String(), std)
	return err
}

func (p *pull) open(ctx context.Context, store *image.Store, name string, ref image.Reference, std *cli.IO) (image.Source, error) {
	if image.IsLocal(name) {
		return store.OpenSource(ctx, name, std.In)
	}
	return registry.Open(ctx, ref, registry.Options{
		Insecure: p.Insecure, CertDir: p.CertDir, Notice: func(text string) { cli.Warn(std.Err, "md-pull", "%s", text) },
	})
}

// export writes an image of the store to its destination. It reports false if the store does not have the image.
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
