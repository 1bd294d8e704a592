package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/state"
)

type run struct {
	container.RunOptions
	Print cli.OptionalWord `help:"Print the pipeline of tools that this stands for, or with --print=spec its document, and run nothing"`
	Args  []string         `arg:"" optional:"" name:"image" passthrough:"partial" help:"The image, where -i does not name it, and the command"`
}

// Run implements cli.Runner.
func (c *run) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	if c.Args, err = chooseImage(e, &c.CreateOptions, c.Args); err != nil {
		return err
	}
	if c.Print.Given {
		return cli.About(subject(c.CreateOptions), c.print(ctx, e, std))
	}
	id, code, err := e.Run(ctx, c.RunOptions, c.Args, caller(std))
	switch {
	case err != nil:
		return cli.About(subject(c.CreateOptions), err)
	case c.Detach:
		_, err = fmt.Fprintln(std.Out, id)
		return err
	case code != 0:
		return cli.Status(code)
	}
	return nil
}

// chooseImage takes the image from the arguments where no option names it, and returns those that are left.
func chooseImage(e *container.Engine, o *container.CreateOptions, args []string) ([]string, error) {
	if o.Image == "" && len(args) > 0 {
		if o.Image, args = args[0], args[1:]; len(args) > 0 && args[0] == "--" {
			args = args[1:]
		}
	}
	if o.Image == "t" && len(args) > 0 {
		if _, err := e.Images.Resolve(o.Image); err != nil {
			return nil, cli.Usagef("-it: here -i names the image: use -t --interactive, or neither on a terminal")
		}
	}
	return args, nil
}

// subject is what the user will look for in an error.
func subject(o container.CreateOptions) string { return cmp.Or(o.Name, o.Image) }

// caller is who sits before the command.
func caller(std *cli.IO) container.Caller {
	return container.Caller{
		In: std.In, Out: std.Out, Err: std.Err,
		Pull: func(ctx context.Context, ref string) error { return pullQuietly(ctx, ref, std) },
	}
}

type create struct {
	container.CreateOptions
	Args []string `arg:"" optional:"" name:"image" passthrough:"partial" help:"The image, where -i does not name it, and the command"`
}

// Run implements cli.Runner.
func (c *create) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	if c.Args, err = chooseImage(e, &c.CreateOptions, c.Args); err != nil {
		return err
	}
	id, err := e.Create(ctx, c.CreateOptions, c.Args, caller(std))
	if err == nil {
		_, err = fmt.Fprintln(std.Out, id)
	}
	return cli.About(subject(c.CreateOptions), err)
}

type ps struct{ container.ListOptions }

// Run implements cli.Runner.
func (c *ps) Run(_ context.Context, std *cli.IO) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	return container.List(dir, c.ListOptions, std.Out, func(err error) { cli.Warn(std.Err, "mydocker", "%v", err) })
}

type logs struct {
	crilog.Flags
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *logs) Run(ctx context.Context, std *cli.IO) error {
	o, err := c.Parse(time.Now())
	if err != nil {
		return cli.Usagef("%w", err)
	}
	e, err := engine(std)
	if err != nil {
		return err
	}
	box, err := e.LoadAnyway(c.Container)
	if err == nil {
		err = e.Logs(ctx, box, o, container.Caller{Out: std.Out, Err: std.Err})
	}
	return cli.About(c.Container, err)
}

type execute struct {
	program.ExecOptions
	cli.Target
}

// Run implements cli.Runner.
func (c *execute) Run(ctx context.Context, std *cli.IO) error {
	name, args, err := c.Split()
	if err != nil {
		return err
	}
	e, err := engine(std)
	if err != nil {
		return err
	}
	box, err := e.Load(name)
	if err != nil {
		return cli.About(name, err)
	}
	code, err := e.Exec(ctx, box, c.ExecOptions, args, container.Caller{In: std.In, Out: std.Out, Err: std.Err})
	if err == nil && code != 0 {
		err = cli.Status(code)
	}
	return cli.About(name, err)
}

type stop struct {
	container.StopOptions
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// Run stops all at once: they may all take their time.
func (c *stop) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	errs, ids := make([]error, len(c.Containers)), make([]string, len(c.Containers))
	var all sync.WaitGroup
	for i, arg := range c.Containers {
		all.Add(1)
		go func() {
			defer all.Done()
			box, err := e.LoadAnyway(arg)
			if errors.Is(err, container.ErrPrepared) { // nor does it run
				ids[i] = box.ID
				return
			}
			if err == nil {
				ids[i] = box.ID
				var killed bool
				killed, err = e.Stop(ctx, box, c.StopOptions)
				warnKilled(std, box, killed, c.Time)
			}
			errs[i] = cli.About(arg, err)
		}()
	}
	all.Wait()
	e.Sweep(ctx)
	i := -1
	return cli.Each(std, "mydocker", "stop", c.Containers, func(string) error {
		if i++; errs[i] != nil {
			return errs[i]
		}
		_, err := fmt.Fprintln(std.Out, ids[i])
		return err
	})
}

// warnKilled tells why a stop took so long.
func warnKilled(std *cli.IO, box *state.Container, killed bool, seconds int) {
	if killed {
		cli.Warn(std.Err, "mydocker", "%s did not end within %d s and was killed: its PID 1 may ignore the signal (run it with --init)",
			box.Spec.Name(), seconds)
	}
}

type start struct {
	Attach      bool     `short:"a" help:"Stay in the foreground: show what the program writes, and end with its exit code"`
	Interactive bool     `short:"i" help:"Pass on standard input, too"`
	Containers  []string `arg:"" help:"Ids or names of containers"`
}

// Run implements cli.Runner.
func (c *start) Run(ctx context.Context, std *cli.IO) error {
	if c.Attach || c.Interactive {
		return cli.WithCode(cli.ExitOurs, c.attached(ctx, std))
	}
	return each(std, "start", c.Containers, func(e *container.Engine, box *state.Container) error {
		if err := e.Start(ctx, box); err != nil {
			return err
		}
		_, err := fmt.Fprintln(std.Out, box.ID)
		return err
	})
}

// attached starts one container and stays with it.
func (c *start) attached(ctx context.Context, std *cli.IO) error {
	if len(c.Containers) != 1 {
		return cli.Usagef("-a, -i: name one container: there is one standard output")
	}
	e, err := engine(std)
	if err != nil {
		return err
	}
	name, before := c.Containers[0], time.Now()
	box, err := e.Load(name)
	if err == nil {
		err = e.Start(ctx, box)
	}
	if err == nil {
		box, err = e.Load(name)
	}
	if err != nil {
		return cli.About(name, err)
	}
	return attachTo(ctx, e, box, before, c.Interactive, std)
}

type attach struct {
	NoStdin   bool   `help:"Keep standard input to yourself"`
	Container string `arg:"" help:"Id or name of a container"`
}

// Run implements cli.Runner.
func (c *attach) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	box, err := e.Load(c.Container)
	if err != nil {
		return cli.About(c.Container, err)
	}
	return attachTo(ctx, e, box, time.Time{}, !c.NoStdin, std)
}

// attachTo stays with a running container; since says from when on its output is shown, from now by default.
func attachTo(ctx context.Context, e *container.Engine, box *state.Container, since time.Time, input bool, std *cli.IO) error {
	code, detached, err := e.Attach(ctx, box, since, input, caller(std))
	switch {
	case err != nil:
		return cli.About(box.Spec.Name(), err)
	case detached:
		// The prompt of the shell is not to stand behind that of the program. A terminal that takes nothing has none.
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_ = interrupt.Do(ctx, func() error {
			_, err := fmt.Fprintln(std.Err)
			return err
		})
	case code != 0:
		return cli.Status(code)
	}
	return nil
}

type restart struct {
	container.StopOptions
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// Run prints the id twice, for the stop and for the start.
func (c *restart) Run(ctx context.Context, std *cli.IO) error {
	return each(std, "restart", c.Containers, func(e *container.Engine, box *state.Container) error {
		err := e.Restart(ctx, box, c.StopOptions, func(killed bool) error {
			warnKilled(std, box, killed, c.Time)
			_, err := fmt.Fprintln(std.Out, box.ID)
			return err
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(std.Out, box.ID)
		return err
	})
}

type remove struct {
	container.RemoveOptions
	Containers []string `arg:"" help:"Ids or names of containers"`
}

// Run implements cli.Runner.
func (c *remove) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	defer e.Sweep(ctx)
	return cli.Each(std, "mydocker", "rm", c.Containers, func(arg string) error {
		id, err := e.Remove(ctx, arg, c.RemoveOptions)
		if err == nil {
			_, err = fmt.Fprintln(std.Out, id)
		}
		return cli.About(arg, err)
	})
}

type inspect struct {
	Format  string   `short:"f" help:"Print this Go template for each, such as '{{.Status}}', and nothing else"`
	Objects []string `arg:"" help:"Ids or names of containers, images or networks"`
}

// Run prints the JSON on standard output, and what it is of on standard error.
func (c *inspect) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	var format *template.Template
	if c.Format != "" {
		if format, err = template.New("").Parse(c.Format); err != nil {
			return cli.Usagef("%w", cli.TemplateError(err, nil))
		}
	}
	return cli.Each(std, "mydocker", "inspect", c.Objects, func(arg string) error {
		kind, value, err := e.Inspect(arg)
		if err != nil {
			return cli.About(arg, err)
		}
		if format != nil {
			var line strings.Builder
			if err := format.Execute(&line, value); err != nil {
				return cli.About(arg, cli.TemplateError(err, value))
			}
			_, err := fmt.Fprintln(cli.Screen(std.Out), line.String())
			return err
		}
		fmt.Fprintf(std.Err, "Showing %s as a %s:\n", arg, kind)
		return cli.JSON(std.Out, value)
	})
}

// each does something to every container that is named. An error about one does not stop the others.
func each(std *cli.IO, command string, args []string, do func(*container.Engine, *state.Container) error) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return eachOf(std, command, args, e.Load, func(box *state.Container) error { return do(e, box) })
}

// eachAnyway is each for what works on containers whose documents cannot be read, too.
func eachAnyway(std *cli.IO, command string, args []string, do func(*container.Engine, *state.Container) error) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	return eachOf(std, command, args, e.LoadAnyway, func(box *state.Container) error { return do(e, box) })
}

func eachOf(std *cli.IO, command string, args []string, load func(string) (*state.Container, error), do func(*state.Container) error) error {
	return cli.Each(std, "mydocker", command, args, func(arg string) error {
		box, err := load(arg)
		if err == nil {
			err = do(box)
		}
		return cli.About(arg, err)
	})
}

type diff struct {
	Container string `arg:"" help:"Id or name of a container"`
}

// Run prints a line for each path: A added, C changed, D deleted.
func (c *diff) Run(ctx context.Context, std *cli.IO) error {
	dir, id, err := state.Find(c.Container)
	if err != nil {
		return cli.About(c.Container, err)
	}
	changes, err := rootfs.New(dir).Diff(ctx, id)
	for _, change := range changes {
		fmt.Fprintln(std.Out, cli.OneLine(change.String()))
	}
	return cli.About(c.Container, err)
}
