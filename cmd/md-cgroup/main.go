package main

import (
	_ "embed"

	"github.com/weikeit/mydocker/lib/cli"
)

//go:embed doc.go
var doc string

func main() {
	cli.Main(cli.Tool{
		Name:    "md-cgroup",
		Summary: "limit what containers and programs use: memory, cpus, processes, devices",
		Doc:     doc,
		Commands: []cli.Command{
			{Name: "create", Summary: "Make the control group of the document on standard input", Usage: "[limits] < DOCUMENT | [limits] ID",
				Stage: true, New: func() cli.Runner { return &create{} }},
			{Name: "run", Summary: "Run a program in a control group of its own", Usage: "[limits] -- COMMAND [ARG...]",
				Failure: cli.ExitOurs, New: func() cli.Runner { return &run{} }},
			{Name: "exec", Summary: "Run a program in a control group that is there", Usage: "ID -- COMMAND [ARG...]",
				Failure: cli.ExitOurs, New: func() cli.Runner { return &execIn{} }},
			{Name: "set", Summary: "Change limits of a control group", Usage: "[limits] ID", New: func() cli.Runner { return &set{} }},
			{Name: "show", Summary: "Print what control groups use, as JSON", Usage: "ID...", New: func() cli.Runner { return &show{} }},
			{Name: "procs", Summary: "List the processes in control groups", Usage: "ID...", New: func() cli.Runner { return &procs{} }},
			{Name: "freeze", Summary: "Stop all processes in control groups", Usage: "ID...", New: func() cli.Runner { return &freeze{} }},
			{Name: "thaw", Summary: "Let frozen control groups go on", Usage: "ID...", New: func() cli.Runner { return &thaw{} }},
			{Name: "delete", Summary: "Remove control groups that nothing runs in", Usage: "ID...", New: func() cli.Runner { return &remove{} }},
		},
	})
}
