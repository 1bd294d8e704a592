package main

import (
	"context"
	_ "embed"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

//go:embed doc.go
var doc string

func main() {
	cli.Main(cli.Tool{Name: "md-ps", Doc: doc, Commands: []cli.Command{{
		Summary: "List all containers on the host", Usage: "[command options]", New: func() cli.Runner { return &ps{} },
	}}})
}

type ps struct{ container.ListOptions }

// Run implements cli.Runner.
func (p *ps) Run(_ context.Context, std *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	return container.List(dir, p.ListOptions, std.Out, func(err error) { cli.Warn(std.Err, "md-ps", "%v", err) })
}
