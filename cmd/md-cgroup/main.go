package main

import (
	_ "embed"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/pipe"
)

//go:embed doc.go
var doc string

func main() {
	cli.Main(cli.Tool{
		Name:    "md-cgroup",
		Summary: "limit what containers and programs use: memory, cpus, processes, devices",
		Doc:     doc,
		Commands: []cli.Command{
			{Name: "create", Summary: "Make the cgroup of the document on standard input", Stage: pipe.Undo, New: cli.New[create],
				Usage: "[command options] < DOCUMENT | [command options] ID"},
			{Name: "run", Summary: "Run a program in a cgroup of its own", Failure: cli.ExitOurs, New: cli.New[run]},
			{Name: "exec", Summary: "Run a program in an existing cgroup", Failure: cli.ExitOurs, New: cli.New[execIn]},
			{Name: "set", Summary: "Change the limits of a cgroup", New: cli.New[set]},
			{Name: "show", Summary: "Print what cgroups use, as JSON", New: cli.New[show]},
			{Name: "procs", Summary: "List the processes in cgroups", New: cli.New[procs]},
			{Name: "freeze", Summary: "Freeze all processes in cgroups", New: cli.New[freeze]},
			{Name: "thaw", Summary: "Thaw frozen cgroups", New: cli.New[thaw]},
			{Name: "delete", Summary: "Remove cgroups without processes", New: cli.New[remove]},
		},
	})
}
