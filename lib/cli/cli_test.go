package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runOptions has an option of every kind.
type runOptions struct {
	Detach  bool     `short:"d" help:"Run in background"`
	Name    string   `short:"n" help:"Assign a name"`
	Memory  int64    `name:"memory-limit" default:"-1" help:"Limit (default: -1)"`
	Env     []string `short:"e" sep:"none" help:"Set variables"`
	Network []string `aliases:"net" sep:"none" help:"Connect"`
	TTY     *bool    `name:"tty" short:"t" help:"Give a terminal"`
	Time    int      `default:"10" help:"Seconds"`
	Secret  string   `hidden:"" help:"Not shown"`
}

type runCommand struct {
	runOptions
	Args []string `arg:"" optional:"" passthrough:"partial" help:"The command"`
	do   func(context.Context, *runCommand, *IO) error
}

func (c *runCommand) Run(ctx context.Context, std *IO) error { return c.do(ctx, c, std) }

type execCommand struct {
	Env []string `short:"e" sep:"none" help:"Set variables"`
	TTY bool     `short:"t" help:"Give a terminal"`
	Target
}

func (c *execCommand) Run(_ context.Context, std *IO) error {
	name, words, err := c.Split()
	if err == nil {
		fmt.Fprintf(std.Out, "%q %v %q %q", c.Env, c.TTY, name, words)
	}
	return err
}

// tool returns a tool with a command of every kind. Its run calls do.
func tool(do func(context.Context, *runCommand, *IO) error) Tool {
	run := func() Runner { return &runCommand{do: do} }
	groups := []Group{{Name: "network", Summary: "Manage container networks"}, {Name: "late", Summary: "Came later", More: true}}
	return Tool{Name: "tool", Summary: "does things", Groups: groups, Commands: []Command{
		{Name: "run", Summary: "Run it", HelpUsage: "[command options] [arguments...]", Failure: ExitOurs, New: run},
		{Name: "stop", Summary: "Stop it", Usage: "[command options] ID | --all", New: run,
			Groups: []OptionGroup{{Title: "FILES", Options: []string{"none"}}, {Title: "LIMITS", Options: []string{"time", "memory-limit"}}}},
		{Name: "exec", Summary: "Execute", Failure: ExitOurs, New: func() Runner { return &execCommand{} }},
		{Name: "secret", Summary: "Never shown", New: run, Hidden: true},
		{Name: "network create", Aliases: []string{"network add"}, Summary: "Create one", New: run},
		{Name: "network rm", Summary: "Remove some", New: run},
		{Name: "network join", Summary: "Join them", New: run, More: true},
		{Name: "kill", Summary: "Kill it", New: run, More: true},
		{Name: "late one", Summary: "One of those", New: run},
	}}
}

type result struct {
	code     int
	out, err string
}

func call(t Tool, stdin string, args ...string) result {
	var out, errOut bytes.Buffer
	code := t.Run(context.Background(), args, &IO{In: strings.NewReader(stdin), Out: &out, Err: &errOut})
	return result{code, out.String(), errOut.String()}
}

func (r result) check(t *testing.T, want result) {
	t.Helper()
	if r != want {
		t.Errorf("got  %d, out %q, err %q\nwant %d, out %q, err %q", r.code, r.out, r.err, want.code, want.out, want.err)
	}
}

// ownStatus is an error with an exit code, as another package declares it.
type ownStatus struct{}

func (ownStatus) Error() string   { return "not there" }
func (ownStatus) ExitStatus() int { return 127 }

type hinted struct{ error }

func (hinted) Hint() string { return "try\nthis" }

// TestExitCodes checks the table in lib/spec.
func TestExitCodes(t *testing.T) {
	tests := []struct {
		name      string
		err       error
		run, stop int // for a command that runs a container's program, and for another
		text      string
	}{
		{"success", nil, 0, 0, ""},
		{"failure", errors.New("it failed"), 125, 1, "it failed"},
		{"wrapped failure", fmt.Errorf("make x: %w", syscall.ENOSPC), 125, 1, "make x: no space left on device"},
		{"wrong usage", Usagef("a %d: want a %s", 1, "word"), 125, 2, "a 1: want a word"},
		{"wrong usage, wrapped", fmt.Errorf("x: %w", Usagef("y")), 125, 2, "x: y"},
		{"a program's code", Status(7), 7, 7, ""},
		{"a program's signal", Status(143), 143, 143, ""},
		{"a code, wrapped", fmt.Errorf("x: %w", Status(3)), 3, 3, ""},
		{"an error with a code", WithCode(126, errors.New("no permission")), 126, 126, "no permission"},
		{"another package's", fmt.Errorf("execute x: %w", ownStatus{}), 127, 127, "execute x: not there"},
		{"a closed pipe", fmt.Errorf("x: %w", &fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EPIPE}), 141, 141, ""},
		{"one of several", errors.Join(ownStatus{}, errors.New("and more")), 127, 127, "not there; and more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for command, code := range map[string]int{"run": tt.run, "stop": tt.stop} {
				want := result{code: code}
				if tt.text != "" {
					want.err = "tool: " + command + ": " + tt.text + "\n"
				}
				call(tool(func(context.Context, *runCommand, *IO) error { return tt.err }), "", command).check(t, want)
			}
		})
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"a subject without a name", About("", errors.New("is gone")), "tool: run: is gone\n"},
		{"a subject", About("web", errors.New("is gone")), "tool: run web: is gone\n"},
		{"a subject deep inside", fmt.Errorf("x: %w", About("web", errors.New("is gone"))), "tool: run web: x: is gone\n"},
		{"a hint", hinted{errors.New("no")}, "tool: run: no\nhint: try; this\n"},
		{"lines", errors.New("one\ntwo\n\nthree\n"), "tool: run: one; two; ; three\n"},
		{"a subject with control characters", About("a\x1b[31mb\r\n", errors.New("no")), "tool: run a'\\x1b'[31mb'\\r'; : no\n"},
		{"control characters", errors.New("\x1b]0;title\x07\u009b\u202e\x00"), `tool: run: '\x1b']0;title'\a''\u009b''\u202e''\x00'` + "\n"},
		{"letters", errors.New("größe 大"), "tool: run: größe 大\n"},
		{"not UTF-8", errors.New("\xff"), "tool: run: \ufffd\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			call(tool(func(context.Context, *runCommand, *IO) error { return tt.err }), "", "run").check(t, result{125, "", tt.want})
		})
	}
	if About("x", nil) != nil {
		t.Error("About makes an error of nil")
	}
}

func TestEachGoesOn(t *testing.T) {
	var out, errOut bytes.Buffer
	streams := &IO{Out: &out, Err: &errOut}
	err := Each(streams, "tool", "rm", []string{"a", "b", "c", "d"}, func(arg string) error {
		if arg == "b" || arg == "d" {
			return About(arg, errors.New("not found"))
		}
		_, err := fmt.Fprintln(streams.Out, arg)
		return err
	})
	if !errors.Is(err, Status(1)) || out.String() != "a\nc\n" || errOut.String() != "tool: rm b: not found\ntool: rm d: not found\n" {
		t.Errorf("%v, %q, %q", err, out.String(), errOut.String())
	}
	if err := Each(streams, "tool", "rm", []string{"a"}, func(string) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestWords: how a command line is parsed.
func TestWords(t *testing.T) {
	tests := []struct {
		args string
		want string // detach, name, memory, env, network, args
	}{
		{"run", `false "" -1 [] [] []`},
		{"run -d -n web", `true "web" -1 [] [] []`},
		{"run --memory-limit -1", `false "" -1 [] [] []`},
		{"run --memory-limit -7 x", `false "" -7 [] [] ["x"]`},
		{"run --memory-limit=-7", `false "" -7 [] [] []`},
		{"run -e A=b -e C=d,e", `false "" -1 ["A=b" "C=d,e"] [] []`},
		{"run --net a --network b", `false "" -1 [] ["a" "b"] []`},
		{"run image cmd -x --name no", `false "" -1 [] [] ["image" "cmd" "-x" "--name" "no"]`},
		{"run -n web image -d", `false "web" -1 [] [] ["image" "-d"]`},
		{"run -- image -d", `false "" -1 [] [] ["image" "-d"]`},
		{"run -n web -- -d", `false "web" -1 [] [] ["-d"]`},
		{"run image -- -d", `false "" -1 [] [] ["image" "--" "-d"]`},
		{"run -n -odd", `false "-odd" -1 [] [] []`},
		{"network create x", `false "" -1 [] [] ["x"]`},
		{"network add -n y", `false "y" -1 [] [] []`},
		{"exec c cmd -x -e", `[] false "c" ["cmd" "-x" "-e"]`},
		{"exec c -- cmd -x", `[] false "c" ["cmd" "-x"]`},
		{"exec c -- cmd -- -x", `[] false "c" ["cmd" "--" "-x"]`},
		{"exec c cmd -- -x", `[] false "c" ["cmd" "--" "-x"]`},
		{"exec -t -e A=b c cmd", `["A=b"] true "c" ["cmd"]`},
		{"exec -te A=b c -- cmd -t", `["A=b"] true "c" ["cmd" "-t"]`},
		{"exec c cmd --help", `[] false "c" ["cmd" "--help"]`},
		{"exec c cmd --version", `[] false "c" ["cmd" "--version"]`},
		{"exec c -t", `[] false "c" ["-t"]`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			show := func(_ context.Context, c *runCommand, std *IO) error {
				fmt.Fprintf(std.Out, "%v %q %d %q %q %q", c.Detach, c.Name, c.Memory, c.Env, c.Network, c.Args)
				return nil
			}
			call(tool(show), "", strings.Fields(tt.args)...).check(t, result{out: tt.want})
		})
	}
}

func TestWrongUsage(t *testing.T) {
	tests := []struct {
		args string
		code int
		err  string
	}{
		{"nothing", 2, `tool: unknown command "nothing" (see 'tool --help')`},
		{"--nothing run", 2, `tool: unknown option --nothing (see 'tool --help')`},
		{"-x", 2, `tool: unknown option -x (see 'tool --help')`},
		{"stop --nothing", 2, `tool: stop: unknown flag --nothing (see 'tool stop --help')`},
		{"stop -x", 2, `tool: stop: unknown flag -x (see 'tool stop --help')`},
		{"stop --time", 2, `tool: stop: --time: `},
		{"stop --time soon", 2, `tool: stop: --time: `},
		{"run --nothing", 125, `tool: run: unknown flag --nothing (see 'tool run --help')`},
		{"exec c", 125, `tool: exec: want the name of a container and a command`},
		{"exec", 125, `tool: exec: `},
		{"network nothing", 2, `tool: network: unknown command "nothing"`},
		{"help nothing", 2, `tool: unknown command "nothing" (see 'tool --help')`},
		{"help network nothing", 2, `tool: unknown command "network nothing"`},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			never := func(context.Context, *runCommand, *IO) error { t.Error("the command ran"); return nil }
			got := call(tool(never), "", strings.Fields(tt.args)...)
			if got.code != tt.code || got.out != "" || !strings.HasPrefix(got.err, tt.err) || strings.Count(got.err, "\n") != 1 {
				t.Errorf("got %+v, want %d %s", got, tt.code, tt.err)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, args := range []string{"--version", "-v", "--debug -v", "run --version", "network create --version"} {
		call(tool(nil), "", strings.Fields(args)...).check(t, result{out: "tool version " + Version + "\n"})
	}
	single := Tool{Name: "one", Commands: []Command{{New: func() Runner { return &runCommand{} }}}}
	call(single, "", "--version").check(t, result{out: "one version " + Version + "\n"})
}

// A command for anyone runs where the others are refused.
func TestAnyone(t *testing.T) {
	refuse := func() error { return errors.New("not you") }
	for _, anyone := range []bool{false, true} {
		ran := false
		run := func(context.Context, *runCommand, *IO) error { ran = true; return nil }
		all := tool(run)
		all.check = refuse
		for i := range all.Commands {
			all.Commands[i].Anyone = anyone
		}
		if call(all, "", "run", "image"); ran != anyone {
			t.Errorf("Anyone %v: it ran: %v", anyone, ran)
		}
	}
}

const toolHelp = `NAME:
   tool - does things

USAGE:
   tool [global options] command [command options] [arguments...]

VERSION:
   0.0.0

COMMANDS:
     run      Run it
     stop     Stop it
     exec     Execute
     network  Manage container networks
     help, h  Shows a list of commands or help for one command

MORE COMMANDS:
     kill  Kill it
     late  Came later

GLOBAL OPTIONS:
   --debug        print mydocker debug logs
   --help, -h     show help
   --version, -v  print the version
`

const runHelp = `NAME:
   tool run - Run it

USAGE:
   tool run [command options] [arguments...]

OPTIONS:
   --detach, -d                  Run in background
   --name value, -n value        Assign a name
   --memory-limit value          Limit (default: -1)
   --env value, -e value         Set variables
   --network value, --net value  Connect
   --tty, -t                     Give a terminal
   --time value                  Seconds
`

const stopHelp = `NAME:
   tool stop - Stop it

USAGE:
   tool stop [command options] ID
   tool stop --all

ARGUMENTS:
   ARG  The command

OPTIONS:
   --detach, -d                  Run in background
   --name value, -n value        Assign a name
   --env value, -e value         Set variables
   --network value, --net value  Connect
   --tty, -t                     Give a terminal

LIMITS:
   --memory-limit value  Limit (default: -1)
   --time value          Seconds
`

const execHelp = `NAME:
   tool exec - Execute

USAGE:
   tool exec [command options] CONTAINER COMMAND [ARG...]

ARGUMENTS:
   CONTAINER  Id or name of a container, followed by the command

OPTIONS:
   --env value, -e value  Set variables
   --tty, -t              Give a terminal
`

func TestHelp(t *testing.T) {
	network := "NAME:\n   tool network - Manage container networks\n\nUSAGE:\n   tool network command [command options] [arguments...]\n\n" +
		"COMMANDS:\n     create   Create one\n     rm       Remove some\n     help, h  Shows a list of commands or help for one command\n\nMORE COMMANDS:\n     join  Join them\n\n" +
		"OPTIONS:\n   --help, -h  show help\n"
	tests := []struct{ args, want string }{
		{"", toolHelp}, {"-h", toolHelp}, {"--help", toolHelp}, {"help", toolHelp}, {"h", toolHelp}, {"--debug -h", toolHelp},
		{"run -h", runHelp}, {"run --help", runHelp}, {"help run", runHelp}, {"h run", runHelp},
		{"run -d -h image", runHelp},
		{"network", network}, {"network -h", network}, {"network --help", network}, {"network help", network}, {"help network", network},
		{"stop -h", stopHelp}, {"exec -h", execHelp},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			call(tool(nil), "", strings.Fields(tt.args)...).check(t, result{out: tt.want})
		})
	}
}

func TestHiddenCommands(t *testing.T) {
	if got := call(tool(nil), "", "-h"); strings.Contains(got.out, "Never shown") {
		t.Errorf("shown: %s", got.out)
	}
	called := false
	call(tool(func(context.Context, *runCommand, *IO) error { called = true; return nil }), "", "secret")
	if !called {
		t.Error("a hidden command does not run")
	}
}

// TestDebug checks the README's log format.
func TestDebug(t *testing.T) {
	old := slog.Default()
	t.Cleanup(func() { slog.SetDefault(old) })
	for _, args := range []string{"--debug run", "run --debug"} {
		say := func(context.Context, *runCommand, *IO) error { slog.Debug("ip link add", "n", 1); return nil }
		got := call(tool(say), "", strings.Fields(args)...)
		stamp, rest, _ := strings.Cut(strings.TrimPrefix(got.err, "["), "]")
		if _, err := time.Parse(time.DateTime, stamp); err != nil || rest != " DEBUG ip link add n=1\n" || got.out != "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestWarn(t *testing.T) {
	var b bytes.Buffer
	Warn(&b, "tool", "made %s: %s", "/x", "a\nb\x1b")
	if b.String() != "tool: warning: made /x: a; b'\\x1b'\n" {
		t.Errorf("got %q", b.String())
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	rows := [][]string{{"4f2322145e66", "mysql-test", ""}, {"1", "a\tb\x1b\n", "größer"}, {"22", "", "x"}}
	if err := Table(&b, []string{"CONTAINER ID", "NAME", "IMAGE"}, rows); err != nil {
		t.Fatal(err)
	}
	want := "CONTAINER ID   NAME         IMAGE\n" +
		"4f2322145e66   mysql-test   \n" +
		"1              a b'\\x1b'    größer\n" +
		"22                          x\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	if err := Table(full{}, []string{"A"}, nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := JSONLines(&b, []map[string]string{{"a": "<&>"}, {}}); err != nil || b.String() != "{\"a\":\"<&>\"}\n{}\n" {
		t.Errorf("%v: %q", err, b.String())
	}
	b.Reset()
	if err := JSON(&b, map[string]any{"Ports": map[string]string{"8036": "3306"}}); err != nil ||
		b.String() != "{\n    \"Ports\": {\n        \"8036\": \"3306\"\n    }\n}\n" {
		t.Errorf("%v: %q", err, b.String())
	}
	if err := JSONLines(full{}, []int{1}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
}

// TestOptionsAsWords: the words for options set the same options again.
func TestOptionsAsWords(t *testing.T) {
	yes, no := true, false
	for _, o := range []runOptions{
		{}, {Detach: true, Name: "web"}, {Name: "-odd"}, {Memory: -7, Time: 3}, {Env: []string{"A=b", "", "C=d e,'\n"}},
		{Network: []string{"a", "b"}, TTY: &yes}, {TTY: &no},
	} {
		words, err := Words(&o)
		if err != nil {
			t.Fatal(err)
		}
		same := func(_ context.Context, c *runCommand, std *IO) error {
			if o.Memory == 0 { // not set: the default
				o.Memory = -1
			}
			if o.Time == 0 {
				o.Time = 10
			}
			_, err := fmt.Fprintf(std.Out, "%s", differ(o, c.runOptions))
			return err
		}
		call(tool(same), "", append([]string{"run"}, words...)...).check(t, result{})
	}
}

func differ(a, b runOptions) string {
	text := func(o runOptions) string {
		tty := "-"
		if o.TTY != nil {
			tty = fmt.Sprint(*o.TTY)
		}
		o.TTY = nil
		return fmt.Sprintf("%q %s", fmt.Sprintf("%+v", o), tty)
	}
	if text(a) == text(b) {
		return ""
	}
	return text(a) + " became " + text(b)
}
