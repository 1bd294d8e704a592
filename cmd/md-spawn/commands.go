package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/weikeit/mydocker/lib/bundle"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/monitor"
	"github.com/weikeit/mydocker/lib/pipe"
	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

type run struct {
	pipe.Input
	Detach      bool  `short:"d" help:"Run the container in background and print its id"`
	Keep        bool  `help:"Keep the container when its program ends, until it is deleted"`
	TTY         *bool `name:"tty" short:"t" help:"Give the program a terminal: that of /dev/tty"`
	Interactive bool  `help:"Keep standard input open (with --spec or --bundle)"`
	monitor.Policies
	bundle.CreateFlags
	Args []string `arg:"" optional:"" passthrough:"partial" help:"Run this in place of the document's program"`

	engine *engine
	byID   bool
}

// Words implements cli.Words: without "--", the first argument is an id, and not a command.
func (c *run) Words(args []string) {
	c.byID = !slices.Contains(args, "--")
}

// ReadsInput implements pipe.Reader: with an id, standard input is the program's.
func (c *run) ReadsInput() bool { return !c.named() && c.Input.ReadsInput() }

// named reports whether the first argument is the id of an engine's container.
func (c *run) named() bool { return c.byID && len(c.Args) > 0 }

// Run implements cli.Runner.
func (c *run) Run(ctx context.Context, std *cli.IO) error {
	if c.named() {
		return c.engine.run(ctx, std, c)
	}
	if c.CreateFlags != (bundle.CreateFlags{}) {
		return cli.Usagef("the options of an OCI runtime need an id: md-spawn run --bundle DIR ID")
	}
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	s, err := c.Read(std.In)
	if err != nil {
		return err
	}
	if err := c.Policies.Check(c.Keep); err != nil {
		return cli.Usagef("%w", err)
	}
	c.Policies.Annotate(s)
	if len(c.Args) > 0 {
		s.ProcessPart().Args = c.Args
	}
	if c.TTY != nil {
		s.ProcessPart().Terminal = *c.TTY
	}
	if c.Interactive {
		s.Annotate(spec.AnnotationInteractive, "true")
	}
	o := monitor.Options{Detach: c.Detach, Keep: c.Keep, Interactive: c.Interactive, Streams: c.streams(std, s)}
	code, err := runtime(dir, std).Run(ctx, s, o)
	switch {
	case err != nil:
		return err
	case c.Detach:
		_, err = fmt.Fprintln(std.Out, s.ID())
		return err
	case code != 0:
		return cli.Status(code)
	}
	return nil
}

// streams returns the program's streams. Standard input is the document, so a terminal is opened as /dev/tty.
func (c *run) streams(std *cli.IO, s *spec.Spec) spawn.Streams {
	in := std.In
	if c.Spec == "" && c.Bundle == "" {
		in = nil
		if s.Process != nil && s.Process.Terminal && !c.Detach {
			if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
				in = tty // without one, as under cron, the program has no input
			}
		}
	}
	return spawn.Connect(in, std.Out, std.Err, s.Process != nil && s.Process.Terminal, c.Interactive)
}

type execute struct {
	program.ExecOptions
	bundle.ExecFlags
	Cwd            string   `help:"The same as --workdir"`
	Cap            []string `short:"c" help:"Add a capability to the program's"`
	NoNewPrivs     bool     `help:"Set no_new_privs"`
	AdditionalGids []uint32 `short:"g" help:"Add a group to the program's"`
	cli.Target

	engine *engine
}

// Run implements cli.Runner.
func (c *execute) Run(ctx context.Context, std *cli.IO) error {
	if len(c.Target.Words) > 0 && c.engine.has(c.Target.Words[0]) {
		return c.engine.exec(ctx, std, c)
	}
	if c.ExecFlags != (bundle.ExecFlags{}) {
		return cli.Usagef("the options of an OCI runtime are for containers of an OCI engine")
	}
	name, _, err := c.Split()
	if err != nil {
		return err
	}
	dir, box, err := load(name)
	if err != nil {
		return cli.About(name, err)
	}
	if !box.Running {
		return cli.About(name, spawn.ErrNotRunning)
	}
	if c.TTY == nil && !c.Detach && spawn.OnTerminal(std.In, std.Out) {
		c.TTY, c.Interactive = new(bool), true
		*c.TTY = true
	}
	proc, err := c.process(box.Spec, box.Run.Init.Number())
	if err != nil {
		return cli.About(name, err)
	}
	o := monitor.Options{Detach: c.Detach, Interactive: c.Interactive, Streams: spawn.Connect(std.In, std.Out, std.Err, proc.Terminal, c.Interactive)}
	code, err := runtime(dir, std).Exec(ctx, box, proc, o)
	if err == nil && code != 0 {
		err = cli.Status(code)
	}
	return cli.About(name, err)
}

type kill struct {
	All       bool   `short:"a" help:"To all processes of the container"`
	Container string `arg:"" help:"Id or name of a container"`
	Signal    string `arg:"" optional:"" default:"SIGTERM" help:"Signal, by name or number (default: SIGTERM)"`

	engine *engine
}

// Run implements cli.Runner.
func (c *kill) Run(ctx context.Context, std *cli.IO) error {
	sig, err := linux.SignalNumber(c.Signal)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	if c.engine.has(c.Container) {
		return c.engine.with(c.Container, func(b *bundle.Container) error {
			if c.All {
				return b.KillAll(sig)
			}
			return b.Kill(ctx, sig)
		})
	}
	if c.All {
		return cli.About(c.Container, cli.Usagef("--all is for containers of an OCI engine"))
	}
	dir, box, err := loadAnyway(c.Container)
	if err == nil {
		r := runtime(dir, std)
		r.Rouse(box)
		err = r.Handle(box).Signal(ctx, sig)
		sweep(ctx, std, dir)
	}
	return cli.About(c.Container, err)
}

type wait struct {
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// Run implements cli.Runner.
func (c *wait) Run(ctx context.Context, std *cli.IO) error {
	return cli.Each(std, "md-spawn", "wait", c.Containers, func(arg string) error {
		dir, box, err := loadAnyway(arg)
		if err != nil {
			return cli.About(arg, err)
		}
		code, err := runtime(dir, std).WaitCode(ctx, box)
		if err == nil {
			_, err = fmt.Fprintln(std.Out, code)
		}
		return cli.About(arg, err)
	})
}

type show struct {
	Container string `arg:"" help:"Id or name of a container"`

	engine *engine
}

// Run implements cli.Runner.
func (c *show) Run(_ context.Context, std *cli.IO) error {
	if c.engine.has(c.Container) {
		return c.engine.with(c.Container, func(b *bundle.Container) error { return printJSON(std.Out, b.State()) })
	}
	_, box, err := load(c.Container)
	if err != nil {
		return cli.About(c.Container, err)
	}
	data, err := box.OCIState()
	if err == nil {
		_, err = fmt.Fprintf(cli.Screen(std.Out), "%s\n", data)
	}
	return err
}

type logs struct {
	crilog.Flags
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *logs) Run(ctx context.Context, std *cli.IO) error {
	o, err := c.Flags.Parse(time.Now())
	if err != nil {
		return cli.Usagef("%w", err)
	}
	dir, box, err := loadAnyway(c.Container)
	if err == nil {
		r := runtime(dir, std)
		r.Rouse(box)
		err = r.Logs(ctx, box, o, std.Out, std.Err)
	}
	return cli.About(c.Container, err)
}

type remove struct {
	Force      bool     `short:"f" help:"Kill those that run"`
	Containers []string `arg:"" help:"Ids or names of containers"`

	engine *engine
}

// Run implements cli.Runner.
func (c *remove) Run(ctx context.Context, std *cli.IO) error {
	defer c.engine.bundles().Sweep() // the next delete removes what this one cannot
	return cli.Each(std, "md-spawn", "delete", c.Containers, func(arg string) error {
		if c.engine.has(arg) {
			return c.engine.remove(ctx, arg, c.Force)
		}
		dir, box, err := loadAnyway(arg)
		if errors.Is(err, state.ErrNotFound) && c.Force {
			return nil
		}
		if err != nil {
			return cli.About(arg, err)
		}
		err = runtime(dir, std).Delete(ctx, box, c.Force, func() error { return nil })
		if errors.Is(err, monitor.ErrRunning) && !c.Force {
			return cli.About(arg, fmt.Errorf("%w: kill it first, or use --force", err))
		}
		sweep(ctx, std, dir)
		return cli.About(arg, err)
	})
}

// sweep recovers the containers whose owners were killed.
func sweep(ctx context.Context, std *cli.IO, dir state.Dir) {
	warn := func(format string, args ...any) { cli.Warn(std.Err, "md-spawn", format, args...) }
	monitor.New(dir).Sweep(ctx, warn)
	if err := bundle.Open(dir).Sweep(); err != nil {
		warn("clean up after bundles: %v", err)
	}
}

// load finds a container by its id, its name, or the beginning of its id.
func load(arg string) (state.Dir, *state.Container, error) {
	dir, id, err := state.Find(arg)
	if err != nil {
		return dir, nil, err
	}
	box, err := dir.Load(id)
	return dir, box, err
}

// loadAnyway is load for commands that also work if the document is lost or torn.
func loadAnyway(arg string) (state.Dir, *state.Container, error) {
	dir, id, err := state.Find(arg)
	if err != nil {
		return dir, nil, err
	}
	box, _, err := dir.LoadAnyway(id)
	return dir, box, err
}

// runtime returns the containers of a state directory. Their warnings go to standard error.
func runtime(dir state.Dir, std *cli.IO) *monitor.Runtime {
	r := monitor.New(dir)
	r.Warn = func(format string, args ...any) { cli.Warn(std.Err, "md-spawn", format, args...) }
	return r
}
