package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"slices"

	"github.com/weikeit/mydocker/lib/cli"
	_ "github.com/weikeit/mydocker/lib/linux/guard"
	"github.com/weikeit/mydocker/lib/monitor"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/state"
)

//go:embed doc.go
var doc string

func main() {
	// These words are on the start path of every container: they come before all other work.
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case spawn.ReapArg:
			os.Exit(spawn.Reap(os.Args[2:]))
		case monitor.MonitorArg:
			os.Exit(stayWithContainer(os.Args[2:]))
		}
	}
	cli.Main(tool())
}

func tool() cli.Tool {
	e := &engine{}
	return cli.Tool{
		Name:     "md-spawn",
		Summary:  "Run programs in namespaces of their own",
		Doc:      doc,
		Globals:  e.globals(),
		Commands: slices.Concat(lastStage(e), bundles(e)),
	}
}

func stayWithContainer(args []string) int {
	dir, err := state.FromEnv()
	if err != nil || len(args) == 0 {
		fmt.Fprintln(os.Stderr, "md-spawn: monitor: only md-spawn starts it:", err)
		return cli.ExitUsage
	}
	if slices.Contains(args, "debug") {
		cli.Debug(os.Stderr)
	}
	r := monitor.New(dir)
	r.Warn = func(format string, args ...any) { cli.Warn(os.Stderr, "md-spawn", format, args...) }
	return r.Monitor(context.Background(), args)
}
