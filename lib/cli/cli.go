// Package cli is what all our programs share on the command line: options (it is the only importer
// of kong), streams, errors, exit codes, help texts and tables. A program is a [Tool], a table of
// commands; its main does nothing but
//
//	func main() { cli.Main(tool) }
//
// Rules for what users see, kept here alone: results go to standard output, everything else to standard
// error; an error is one line, "tool: command: what was done: cause", and a hint stands on a second
// line; exit codes are those of the table in lib/spec.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
)

// Version is printed by --version.
const Version = "0.0.0"

// TimeFormat is how times stand in tables and logs, in the local zone.
const TimeFormat = "2006-01-02 15:04:05"

// Exit codes of the family.
const (
	ExitFailed   = 1   // the operation failed
	ExitUsage    = 2   // wrong usage
	ExitOurs     = 125 // our own error, where a container's program would run
	ExitNotExec  = 126 // its program was found but cannot be executed
	ExitNotFound = 127 // its program was not found
)

// IO holds the streams of a command, so that tests can put others in their place.
type IO struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Runner is a command with its parsed options: a pointer to a struct with kong's tags.
type Runner interface {
	Run(ctx context.Context, std *IO) error
}

// Command is one entry in a tool's table.
type Command struct {
	Name    string   // "run", "network create"; "" where the tool is one command
	Aliases []string // other names: "help", "h"
	Summary string   // one line, in the README's words
	Usage   string   // what stands behind the name in USAGE; "[command options] [arguments...]" by default
	New     func() Runner
	Failure int  // exit code of failures and wrong usage where it is not the family's 1 and 2
	Stage   bool // a stage of the pipe: whatever fails, the document on stdin is undone
	Hidden  bool // left out of the help
	More    bool // in the help's second list, behind the commands that the README opens with
}

// Group is a first word that several commands share: "network" of "network create" and "network rm".
type Group struct {
	Name    string
	Summary string
	More    bool // as that of a Command
}

// Tool is a program.
type Tool struct {
	Name     string
	Summary  string
	Commands []Command
	Groups   []Group
	Globals  []Global // options before the command, beyond --debug, --help and --version
	Doc      string   // the file that holds the package comment of main: the text of the man page

	check func() error // what must hold before any command runs
}

// Global is an option that stands before the command: with a word behind it, or a switch.
type Global struct {
	Name string // "root"
	Word bool   // one has to follow
	Help string
	Set  func(word string) error
}

// words are the option as the help shows it.
func (o Global) words() string {
	if !o.Word {
		return "--" + o.Name
	}
	return "--" + o.Name + " value"
}

// Main runs the tool with the process's arguments and streams, and exits.
func Main(t Tool) {
	// A reader that is gone must be an error of write(2), not the death of the process: there may
	// be something to undo. Caught, not ignored: an ignored signal is inherited by programs.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	endings := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !linux.HangupIgnored() { // under nohup it stays ignored, also for a program that we become
		endings = append(endings, syscall.SIGHUP)
	}
	ctx, stop := interrupt.Notify(context.Background(), endings...)
	t.check = needRoot
	code := t.Run(ctx, os.Args[1:], &IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
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
		t.help(std.Err, "") // on stdout it would be what the next stage gets
		return ExitUsage
	case opts.help || len(args) == 0:
		t.help(std.Out, "")
		return 0
	}
	return t.dispatch(ctx, args, std)
}

// needRoot says at once what would else be a different refusal of the kernel for each command.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: try again with sudo")
	}
	return nil
}

func (t Tool) ready() error {
	if t.check == nil {
		return nil
	}
	return t.check()
}

// inPipe reports whether the tool is one of the pipe's stages.
func (t Tool) inPipe() bool {
	return slices.ContainsFunc(t.Commands, func(c Command) bool { return c.Stage })
}

// single reports whether the tool is one command.
func (t Tool) single() bool { return len(t.Commands) == 1 && t.Commands[0].Name == "" }

// document answers the words that no help shows: --man [PAGE], --completion SHELL, and --complete
// WORD..., which the shells' scripts ask.
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

// dispatch finds the command that the first words of args name, the longest name first.
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
		fmt.Fprintf(std.Err, "%s: %s: unknown command %q (see '%s %s --help')\n", t.Name, args[0], args[1], t.Name, args[0])
		return ExitUsage
	}
	fmt.Fprintf(std.Err, "%s: unknown command %q (see '%s --help')\n", t.Name, args[0], t.Name)
	return ExitUsage
}

func (t Tool) find(name string) (Command, bool) {
	for _, c := range t.Commands {
		if c.Name == name {
			return c, true
		}
		for _, alias := range c.Aliases {
			if alias == name {
				return c, true
			}
		}
	}
	return Command{}, false
}

func (t Tool) group(name string) (Group, bool) {
	i := slices.IndexFunc(t.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, false
	}
	return t.Groups[i], true
}

// run parses the arguments of one command and runs it.
func (t Tool) run(ctx context.Context, c Command, args []string, std *IO) int {
	runner, opts := c.New(), &common{}
	if r, ok := runner.(interface{ Words(args []string) }); ok {
		r.Words(args)
	}
	parser, err := c.parser(t, runner, opts)
	if err == nil {
		_, err = parser.Parse(args)
	}
	if err == nil {
		dropDashes(parser.Model.Node)
	}
	var early *earlyExit
	if errors.As(err, &early) {
		if early.version {
			fmt.Fprintf(std.Out, "%s version %s\n", t.Name, Version)
		} else {
			c.help(std.Out, t, parser.Model.Node)
		}
		return 0
	}
	if opts.Debug {
		Debug(std.Err)
	}
	if err != nil {
		err = &usageError{fmt.Errorf("%s (see '%s --help')", complaint(err), c.path(t))} // not %w: kong's errors bring exit codes of their own
	} else if err = t.ready(); err == nil {
		if c.Stage {
			interrupt.Clean() // what it makes is undone, which comes before the hurry
		}
		err = runner.Run(ctx, std)
	}
	if err != nil && c.Stage && documentOnInput(args) && !isAlone(runner) {
		undoInput(ctx, std)
	}
	code := c.report(t, err, std)
	if sig := interrupt.Signal(); sig != 0 && err != nil {
		return 128 + int(sig) // whatever came of that
	}
	return code
}

// complaint is what kong says, but for what it guesses of an option of one letter: all the others.
func complaint(err error) string {
	text := err.Error()
	if flag, _, guessed := strings.Cut(text, ", did you mean "); guessed && !strings.HasPrefix(flag, "unknown flag --") {
		return flag
	}
	return text
}

// dropDashes takes the "--" away that kong leaves at the head of a passthrough argument.
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

// earlyExit ends kong's parsing before it complains about what is missing.
type earlyExit struct{ version bool }

func (*earlyExit) Error() string { return "only asked for help" }

type helpFlag bool

// BeforeReset is called by kong when the flag is met, before anything is checked.
func (helpFlag) BeforeReset() error { return &earlyExit{} }

type versionFlag bool

// BeforeReset is called by kong when the flag is met, before anything is checked.
func (versionFlag) BeforeReset() error { return &earlyExit{version: true} }

func (c Command) parser(t Tool, runner Runner, opts *common) (*kong.Kong, error) {
	parser, err := kong.New(runner, kong.Embed(opts), kong.Name(c.path(t)), kong.NoDefaultHelp(),
		kong.WithHyphenPrefixedParameters(true), // --memory-limit -1
		kong.Exit(func(int) {}))
	if err == nil {
		takeDockersNames(parser.Model.Flags)
	}
	return parser, err
}

// takeDockersNames lets options be called as docker calls them: the tag docker of a field lists those
// names. The help shows ours alone.
func takeDockersNames(flags []*kong.Flag) {
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

// globals are the options before the command.
type globals struct{ debug, help, version bool }

func (g *globals) parse(args []string, more []Global) ([]string, error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		var err error
		switch args[0] {
		case "--debug":
			g.debug = true
		case "--help", "-h":
			g.help = true
		case "--version", "-v":
			g.version = true
		default:
			if args, err = set(args, more); err != nil {
				return nil, err
			}
		}
		args = args[1:]
	}
	return args, nil
}

// set sets the option that args begin with, and returns them from its last word on.
func set(args []string, options []Global) ([]string, error) {
	name, word, given := strings.Cut(args[0], "=")
	i := slices.IndexFunc(options, func(o Global) bool { return "--"+o.Name == name })
	switch {
	case i < 0:
		return nil, fmt.Errorf("unknown option %s", args[0])
	case options[i].Word && !given && len(args) < 2:
		return nil, fmt.Errorf("%s wants a word behind it", args[0])
	case options[i].Word && !given:
		args, word = args[1:], args[1]
	}
	return args, options[i].Set(word)
}

// Debug sends debug messages to w in the README's log format.
func Debug(w io.Writer) {
	slog.SetDefault(slog.New(&debugHandler{w: Screen(w)}))
}

// debugHandler prints records as "[2019-01-25 09:55:03] DEBUG message key=value".
type debugHandler struct {
	w     io.Writer
	attrs []slog.Attr
}

func (h *debugHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelDebug
}

func (h *debugHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] %s %s", r.Time.Format(TimeFormat), r.Level, r.Message)
	attr := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range h.attrs {
		attr(a)
	}
	r.Attrs(attr)
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String())
	return err
}

func (h *debugHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &debugHandler{w: h.w, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

func (h *debugHandler) WithGroup(string) slog.Handler { return h }

// Local prints a time as in the tables.
func Local(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(TimeFormat)
}
