package cli

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/weikeit/mydocker/lib/interrupt"
)

// Command is one entry in a tool's table.
type Command struct {
	Name    string   // "run", "network create"; "" if the tool is a single command
	Aliases []string // other names: "help", "h"
	Summary string   // one line, in the README's words
	New     func() Runner
	Failure int // exit code of failures and wrong usage, if not the family's 1 and 2

	// Stage marks a stage of the pipe. It is called with a command that failed, or could not start, and undoes the
	// document on standard input (pipe.Undo).
	Stage func(ctx context.Context, std *IO, command Runner)

	Usage     string        // words behind the name in USAGE, if not those of the arg tags; " | " separates forms
	HelpUsage string        // replaces Usage in the help only: the README fixes that of run
	Groups    []OptionGroup // headings for some of the options, in the order of the help

	Hidden bool // not in the help
	More   bool // in the help's second list, after the commands that the README opens with
	Anyone bool // needs no root
}

// Runner is a command with its parsed options: a pointer to a struct with kong's tags.
type Runner interface {
	Run(ctx context.Context, std *IO) error
}

// Rewriter is a Runner that replaces some of its words before they are parsed. takesValue reports whether an option, with its
// dashes, has the next word as its value.
type Rewriter interface {
	Rewrite(args []string, takesValue func(option string) bool) []string
}

// New returns an empty command of type T, for [Command.New].
func New[T any, P interface {
	*T
	Runner
}]() Runner {
	return P(new(T))
}

// run parses the arguments of one command and runs it.
func (t Tool) run(ctx context.Context, c Command, args []string, std *IO) int {
	runner, opts := c.New(), &common{}
	node, err := c.parse(t, runner, opts, args)
	var early *earlyExit
	if errors.As(err, &early) {
		if early.version {
			fmt.Fprintf(std.Out, "%s version %s\n", t.Name, Version)
		} else {
			c.help(std.Out, t, node)
		}
		return 0
	}
	if opts.Debug {
		Debug(std.Err)
	}
	if err == nil {
		err = t.execute(ctx, c, runner, std)
	}
	if err != nil && c.Stage != nil {
		c.Stage(ctx, std, runner)
	}
	code := c.report(t, err, std)
	if sig := interrupt.Signal(); sig != 0 && err != nil {
		return 128 + int(sig) // the signal caused the error
	}
	return code
}

func (t Tool) execute(ctx context.Context, c Command, runner Runner, std *IO) error {
	if t.check != nil && !c.Anyone {
		if err := t.check(); err != nil {
			return err
		}
	}
	if c.Stage != nil {
		interrupt.Clean() // undoing a stage may take longer than the exit after a signal
	}
	return runner.Run(ctx, std)
}

// parse sets the options and arguments of a command. After an error runner has those that could be understood.
func (c Command) parse(t Tool, runner Runner, opts *common, args []string) (*kong.Node, error) {
	if r, ok := runner.(interface{ Words(args []string) }); ok {
		r.Words(args)
	}
	parser, err := c.parser(t, runner, opts)
	if err != nil {
		return nil, err
	}
	node := parser.Model.Node
	if r, ok := runner.(Rewriter); ok {
		args = r.Rewrite(args, func(option string) bool { return awaitsValue(node, option) != nil })
	}
	_, err = parser.Parse(args)
	if err == nil {
		dropDashes(node)
		return node, nil
	}
	if early := (*earlyExit)(nil); errors.As(err, &early) {
		return node, early
	}
	setKnown(node, args)
	// Not %w: kong's errors have exit codes of their own.
	return node, &usageError{fmt.Errorf("%s (see '%s --help')", complaint(err), c.path(t))}
}

// complaint returns kong's message. Of an unknown option of one letter it leaves out the suggestion, which lists all
// other letters.
func complaint(err error) string {
	text := err.Error()
	if flag, _, guessed := strings.Cut(text, ", did you mean "); guessed && !strings.HasPrefix(flag, "unknown flag --") {
		return flag
	}
	return text
}

// dropDashes removes the "--" that kong leaves at the head of a passthrough argument.
func dropDashes(node *kong.Node) {
	for _, arg := range node.Positional {
		if words, ok := arg.Target.Interface().([]string); ok && arg.Passthrough && len(words) > 0 && words[0] == "--" {
			arg.Target.Set(reflect.ValueOf(words[1:]))
		}
	}
}

// path is the command as the user types it.
func (c Command) path(t Tool) string { return strings.TrimSpace(t.Name + " " + c.Name) }

// common are the options that every command has.
type common struct {
	Debug   bool        `help:"print mydocker debug logs" hidden:""`
	Help    helpFlag    `short:"h" help:"show help" hidden:""`
	Version versionFlag `help:"print the version" hidden:""`
}

// earlyExit ends kong's parsing before it checks required arguments.
type earlyExit struct{ version bool }

func (*earlyExit) Error() string { return "help or version was asked for" }

type helpFlag bool

// BeforeReset is called by kong when it meets the flag, before it checks anything.
func (helpFlag) BeforeReset() error { return &earlyExit{} }

type versionFlag bool

// BeforeReset is called by kong when it meets the flag, before it checks anything.
func (versionFlag) BeforeReset() error { return &earlyExit{version: true} }

func (c Command) parser(t Tool, runner Runner, opts *common) (*kong.Kong, error) {
	parser, err := kong.New(runner, kong.Embed(opts), kong.Name(c.path(t)), kong.NoDefaultHelp(),
		kong.WithHyphenPrefixedParameters(true), // --memory-limit -1
		kong.Exit(func(int) {}))
	if err != nil {
		return nil, err
	}
	addDockersNames(parser.Model.Flags)
	return parser, nil
}

// addDockersNames adds docker's names to options: the docker tag of a field lists them. The help shows only ours.
func addDockersNames(flags []*kong.Flag) {
	for _, f := range flags {
		for name := range strings.SplitSeq(f.Tag.Get("docker"), ",") {
			if len(name) == 1 {
				f.Short = rune(name[0])
			} else if name != "" {
				f.Aliases = append(f.Aliases, name)
			}
		}
	}
}
