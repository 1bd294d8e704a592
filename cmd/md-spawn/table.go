package main

import (
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/pipe"
)

// lastStage are the commands of the last stage of the pipe. Most of them take the containers of an engine, too.
func lastStage(e *engine) []cli.Command {
	return []cli.Command{
		{Name: "run", Summary: "Run the container of a document", Usage: "[command options] [-- COMMAND [ARG...]] < config.json | --bundle DIR ID",
			New: func() cli.Runner { return &run{engine: e} }, Failure: cli.ExitOurs, Stage: pipe.Undo},
		{Name: "exec", Summary: "Run a command in a running container", Usage: "[command options] ID [--] COMMAND [ARG...]",
			New: func() cli.Runner { return &execute{engine: e} }, Failure: cli.ExitOurs},
		{Name: "kill", Summary: "Send a signal to a container", Usage: "[command options] ID [SIGNAL]",
			New: func() cli.Runner { return &kill{engine: e} }},
		{Name: "wait", Summary: "Wait for the end of containers and print their exit codes", Usage: "ID...",
			New: func() cli.Runner { return &wait{} }},
		{Name: "state", Summary: "Print the OCI state of a container", Usage: "ID",
			New: func() cli.Runner { return &show{engine: e} }},
		{Name: "logs", Summary: "Show all the logs of a container", Usage: "[command options] ID",
			New: func() cli.Runner { return &logs{} }},
		{Name: "delete", Summary: "Remove containers that do not run", Usage: "[command options] ID...",
			New: func() cli.Runner { return &remove{engine: e} }},
	}
}

// bundles returns the commands that only OCI runtimes have.
func bundles(e *engine) []cli.Command {
	return []cli.Command{
		{Name: "create", Summary: "Create the container of a bundle", Usage: "[command options] ID", More: true,
			New: func() cli.Runner { return &create{engine: e} }},
		{Name: "start", Summary: "Start a created container", Usage: "ID", More: true,
			New: func() cli.Runner { return &start{engine: e} }},
		{Name: "list", Summary: "List the containers of an engine", Usage: "[command options]", More: true,
			New: func() cli.Runner { return &list{engine: e} }},
		{Name: "ps", Summary: "List the processes of a container", Usage: "[command options] ID [PS-OPTION...]", More: true,
			New: func() cli.Runner { return &processes{engine: e} }},
		{Name: "pause", Summary: "Stop all processes of a container", Usage: "ID", More: true,
			New: func() cli.Runner { return &pause{engine: e, frozen: true} }},
		{Name: "resume", Summary: "Let the processes of a paused container go on", Usage: "ID", More: true,
			New: func() cli.Runner { return &pause{engine: e} }},
		{Name: "update", Summary: "Change the limits of a container", Usage: "[command options] ID", More: true,
			New: func() cli.Runner { return &update{engine: e} }},
		{Name: "events", Summary: "Print statistics and OOM kills of a container", Usage: "[command options] ID", More: true,
			New: func() cli.Runner { return &events{engine: e} }},
		{Name: "spec", Summary: "Write a config.json to start from", Usage: "[command options]", More: true,
			New: func() cli.Runner { return &document{} }},
		{Name: "features", Summary: "Print the supported features of the OCI specification", Usage: "", More: true,
			New: func() cli.Runner { return &supported{} }},
	}
}
