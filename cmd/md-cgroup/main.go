// md-cgroup limits what containers and programs use: memory, cpus, processes, devices.
//
// Synopsis:
//
//	md-cgroup create [limits] [--spec FILE | --bundle DIR] < DOCUMENT > DOCUMENT
//	md-cgroup run [limits] -- COMMAND [ARG...]
//	md-cgroup exec ID -- COMMAND [ARG...]
//	md-cgroup set [limits] ID
//	md-cgroup show|procs|freeze|thaw|delete ID...
//
// create is a stage of the pipe: it makes the control group /mydocker/ID in every hierarchy, writes the
// limits to it, and hands the document on with linux.cgroupsPath and linux.resources filled in and its
// own release in hooks.poststop. Limits that the document has already stay, where no option replaces
// them. It puts no process into the group: md-spawn does.
//
// run limits a program that has nothing to do with containers; the group lives as long as it, and what
// it leaves running is killed. exec runs one more program in a group that is there, as long as
// somebody else keeps it. Neither limits devices further than the group does.
//
// set changes the limits of a group that is there, but not the document: a restarted container has its
// old ones. show prints what each group uses as a JSON object (times in nanoseconds, sizes in bytes). delete
// waits for processes that are just ending, up to 2 s, and kills none.
//
// An ID is that of a container, its name, or the beginning of its id.
//
// Exit status: 0; 1 where something failed; 2 wrong usage. run and exec: the program's, or 128+n where
// signal n ended it; 125 our own error, 126 the program cannot be executed, 127 it was not found.
package main

import "github.com/weikeit/mydocker/lib/cli"

func main() {
	cli.Main(cli.Tool{
		Name:    "md-cgroup",
		Summary: "limit what containers and programs use: memory, cpus, processes, devices",
		Commands: []cli.Command{
			{Name: "create", Summary: "Make the control group of the document on standard input", Usage: "[limits] < DOCUMENT",
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
