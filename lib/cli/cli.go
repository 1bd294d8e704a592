// Package cli is what our programs share on the command line: options (it is the only importer of kong), streams,
// errors, exit codes, help texts, man pages and tables. A program is a [Tool], a table of commands, and its main is
//
//	func main() { cli.Main(tool) }
//
// The rules for what users see are kept here: results go to standard output, everything else to standard error; an
// error is one line, "tool: command: verb object: cause"; a hint is a second line; exit codes follow the table in
// lib/spec.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
)

// Set by the linker (-X, see the Makefile) from git's tag and commit.
var (
	Version = "0.0.0" // printed by --version; this if there is no tag
	Commit  = ""      // ends in "-dirty" if the tree had changes; "" if unknown
)

// Exit codes of the family.
const (
	ExitFailed   = 1   // the operation failed
	ExitUsage    = 2   // wrong usage
	ExitOurs     = 125 // an error of mydocker in a command that runs a container's program
	ExitNotExec  = 126 // the program cannot be executed
	ExitNotFound = 127 // the program was not found
)

// IO holds the streams of a command, so that tests can replace them.
type IO struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Group is a first word that several commands share: "network" of "network create" and "network rm".
type Group struct {
	Name    string
	Summary string
	More    bool // as in [Command]
}

// Tool is a program.
type Tool struct {
	Name     string
	Summary  string
	Commands []Command
	Groups   []Group
	Globals  []Global // options before the command, besides --debug, --help and --version
	Doc      string   // the file with the package comment of main, which is the text of the man page

	// Elsewhere has the commands of similar tools that this one does not have, and what to use here instead.
	Elsewhere map[string]string

	check func() error // runs before every command
}

// Main runs the tool with the process's arguments and streams, and exits.
func Main(t Tool) {
	// A write to a closed pipe must return EPIPE instead of killing the process, which may have something to undo. The
	// signal is caught, not ignored: programs would inherit an ignored one.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	endings := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !linux.HangupIgnored() { // under nohup it stays ignored, also for a program that this process executes
		endings = append(endings, syscall.SIGHUP)
	}
	ctx, stop := interrupt.Notify(context.Background(), endings...)
	t.check = needRoot
	code := t.Run(ctx, os.Args[1:], &IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

// needRoot fails early: without root the kernel would refuse each command in its own way.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: try again with sudo")
	}
	return nil
}

// Run runs the tool and returns its exit code.
func (t Tool) Run(ctx context.Context, args []string, std *IO) int {
	if code, done := t.document(args, std); done {
		return code
	}
	if t.single() {
		return t.run(ctx, t.Commands[0], args, std)
	}
	var opts globals
	args, err := opts.parse(args, t.Globals)
	if err != nil {
		fmt.Fprintf(std.Err, "%s: %v (see '%s --help')\n", t.Name, err, t.Name)
		return ExitUsage
	}
	if opts.debug {
		Debug(std.Err)
	}
	switch {
	case opts.version:
		fmt.Fprintf(std.Out, "%s version %s\n", t.Name, Version)
		return 0
	case len(args) == 0 && !opts.help && t.inPipe():
		t.help(std.Err, "") // on standard output the next stage would read it
		return ExitUsage
	case opts.help || len(args) == 0:
		t.help(std.Out, "")
		return 0
	}
	return t.dispatch(ctx, args, std)
}

// inPipe reports whether the tool has a stage of the pipe.
func (t Tool) inPipe() bool {
	return slices.ContainsFunc(t.Commands, func(c Command) bool { return c.Stage != nil })
}

// single reports whether the tool is one command.
func (t Tool) single() bool { return len(t.Commands) == 1 && t.Commands[0].Name == "" }

// document handles the words that no help shows: --man [PAGE] and --completion SHELL, which the build calls, and
// --complete WORD..., which the shells' scripts call.
func (t Tool) document(args []string, std *IO) (code int, done bool) {
	if len(args) == 0 {
		return 0, false
	}
	var err error
	word := strings.Join(args[1:], " ")
	switch args[0] {
	case "--man":
		err = t.man(std.Out, word)
	case "--completion":
		err = t.completion(std.Out, word)
	case "--complete":
		t.complete(std.Out, args[1:])
	default:
		return 0, false
	}
	if err != nil {
		err = &usageError{err}
	}
	return Command{}.report(t, err, std), true
}

// dispatch runs the command that the first words of args name; the longest name wins.
func (t Tool) dispatch(ctx context.Context, args []string, std *IO) int {
	if args[0] == "help" || args[0] == "h" {
		return t.helpFor(args[1:], std)
	}
	for words := min(2, len(args)); words > 0; words-- {
		if c, ok := t.find(strings.Join(args[:words], " ")); ok {
			return t.run(ctx, c, args[words:], std)
		}
	}
	if _, ok := t.group(args[0]); ok {
		switch {
		case len(args) > 2 && (args[1] == "help" || args[1] == "h"):
			return t.helpFor([]string{args[0], args[2]}, std)
		case len(args) == 1 || args[1] == "-h" || args[1] == "--help" || args[1] == "help" || args[1] == "h":
			t.help(std.Out, args[0])
			return 0
		}
		return t.unknown(args[0], args[1], std)
	}
	return t.unknown("", args[0], std)
}

func (t Tool) find(name string) (Command, bool) {
	i := slices.IndexFunc(t.Commands, func(c Command) bool { return c.Name == name || slices.Contains(c.Aliases, name) })
	if i < 0 {
		return Command{}, false
	}
	return t.Commands[i], true
}

func (t Tool) group(name string) (Group, bool) {
	i := slices.IndexFunc(t.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, false
	}
	return t.Groups[i], true
}
