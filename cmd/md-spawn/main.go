package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"slices"

	"github.com/weikeit/mydocker/lib/cli"
	_ "github.com/weikeit/mydocker/lib/linux/guard" // first of all
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/state"
)

//go:embed doc.go
var doc string

func main() {
	// The programs behind these words start containers: nothing else may cost time before them.
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case spawn.ReapArg:
			os.Exit(spawn.Reap(os.Args[2:]))
		case spawn.MonitorArg:
			os.Exit(monitor(os.Args[2:]))
		}
	}
	cli.Main(cli.Tool{
		Name:    "md-spawn",
		Summary: "Run programs in namespaces of their own",
		Doc:     doc,
		Commands: []cli.Command{
			{Name: "run", Summary: "Run the container of a document", Usage: "[command options] [-- COMMAND [ARG...]] < config.json",
				New: func() cli.Runner { return &run{} }, Failure: cli.ExitOurs, Stage: true},
			{Name: "exec", Summary: "Run a command in a running container", Usage: "[command options] ID [--] COMMAND [ARG...]",
				New: func() cli.Runner { return &execute{} }, Failure: cli.ExitOurs},
			{Name: "kill", Summary: "Send a signal to a container", Usage: "[command options] ID [SIGNAL]",
				New: func() cli.Runner { return &kill{} }},
			{Name: "wait", Summary: "Wait for the end of containers and print their exit codes", Usage: "ID...",
				New: func() cli.Runner { return &wait{} }},
			{Name: "state", Summary: "Print the state of a container as OCI has it", Usage: "ID",
				New: func() cli.Runner { return &show{} }},
			{Name: "logs", Summary: "Show all the logs of a container", Usage: "[command options] ID",
				New: func() cli.Runner { return &logs{} }},
			{Name: "delete", Summary: "Remove containers that do not run", Usage: "[command options] ID...",
				New: func() cli.Runner { return &remove{} }},
		},
	})
}

func monitor(args []string) int {
	dir, err := state.FromEnv()
	if err != nil || len(args) == 0 {
		fmt.Fprintln(os.Stderr, "md-spawn: monitor: only md-spawn itself starts it:", err)
		return cli.ExitUsage
	}
	if slices.Contains(args, "debug") {
		cli.Debug(os.Stderr)
	}
	return spawn.New(dir).Monitor(context.Background(), args)
}
