package main

import (
	_ "embed"
	"os"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/pipe"
)

//go:embed doc.go
var doc string

func main() {
	if os.Getenv("CNI_COMMAND") != "" {
		os.Exit(plugin())
	}
	cli.Main(cli.Tool{
		Name:    "md-net",
		Summary: "make networks and connect containers to them",
		Doc:     doc,
		Commands: []cli.Command{
			{Name: "create", Summary: "Create a network", New: cli.New[create]},
			{Name: "list", Summary: "List the networks of this host", New: cli.New[list]},
			{Name: "inspect", Summary: "Print networks, or how containers are connected, as JSON", Usage: "NAME...", New: cli.New[inspect]},
			{Name: "rm", Summary: "Remove networks that no container uses", New: cli.New[remove]},
			{Name: "prune", Summary: "Remove all networks that no container uses", New: cli.New[prune]},
			{Name: "reload", Summary: "Restore firewall rules, bridges and hosts files", New: cli.New[reload]},
			{Name: "attach", Summary: "Connect the container of the document on standard input, or any process or namespace",
				Usage: "[command options] < DOCUMENT | [command options] --pid PID | [command options] --netns PATH",
				Stage: pipe.Undo, New: cli.New[attach]},
			{Name: "detach", Summary: "Disconnect a container that has ended, or an attached namespace", Usage: "ID | --pid PID | --netns PATH", New: cli.New[detach]},
			{Name: "connect", Summary: "Connect a container to one more network", New: cli.New[connect]},
			{Name: "disconnect", Summary: "Disconnect a container from a network", New: cli.New[disconnect]},
			{Name: "port", Summary: "List the published ports of a container", Usage: "CONTAINER [PORT[/PROTOCOL]]",
				New: cli.New[port]},
			{Name: "exec", Summary: "Run a program of this host in the network of a container, process or namespace",
				Usage:   "CONTAINER [--] COMMAND [ARG...] | --pid PID [--] COMMAND [ARG...] | --netns PATH [--] COMMAND [ARG...]",
				Failure: cli.ExitOurs, New: cli.New[execIn]},
		},
	})
}
