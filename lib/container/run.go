package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/monitor"
	"github.com/weikeit/mydocker/lib/network"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// CreateOptions say what a container is: the options of the parts, in the README's order.
type CreateOptions struct {
	rootfs.Identity
	Image string `short:"i" help:"The image to be used (name or id)"`
	rootfs.Files
	network.Connection
	rootfs.Driver
	cgroup.Limits
	rootfs.Extras
	rootfs.Security
	monitor.Policies
	cgroup.Devices
	rootfs.Bounds
	network.Exposed

	// Passing is a container that goes with the command that makes it, before others know its id.
	Unnamed bool `kong:"-"`
}

// RunOptions are the options of `mydocker run`.
type RunOptions struct {
	Detach bool `short:"d" help:"Run the container in background"`
	CreateOptions
	Remove bool `name:"rm" help:"Remove the container and its anonymous volumes when it ends"`
}

func (o *CreateOptions) rootfs() rootfs.Options {
	return rootfs.Options{Identity: o.Identity, Files: o.Files, Driver: o.Driver, Extras: o.Extras, Security: o.Security, Bounds: o.Bounds}
}

// Parts returns the options of each stage of the pipe.
func (o *CreateOptions) Parts() (rootfs.Options, cgroup.Options, network.Options) {
	return o.rootfs(), o.cgroup(), o.network()
}

func (o *CreateOptions) network() network.Options {
	return network.Options{Connection: o.Connection, Exposed: o.Exposed, Unnamed: o.Unnamed}
}

func (o *CreateOptions) cgroup() cgroup.Options {
	return cgroup.Options{Limits: o.Limits, Devices: o.Devices}
}

// ChooseTerminal decides what the user left open: a program in front of a person gets a terminal.
func (o *RunOptions) ChooseTerminal(in io.Reader, out io.Writer) {
	if o.TTY == nil {
		terminal := !o.Detach && spawn.OnTerminal(in, out)
		o.TTY = &terminal
	}
}

// Caller is what surrounds a run.
type Caller struct {
	In       io.Reader
	Out, Err io.Writer
	Pull     func(ctx context.Context, ref string) error // gets an image that is not there
}

// Run makes a container of an image and runs it. Detached it returns the id; in the foreground the
// exit code of the program. Where the program does not come to run, nothing is left behind.
func (e *Engine) Run(ctx context.Context, o RunOptions, args []string, c Caller) (id string, code int, err error) {
	if err := e.Check(o); err != nil {
		return "", 0, err
	}
	interrupt.Clean()
	o.ChooseTerminal(c.In, c.Out)
	o.Unnamed = o.Remove && !o.Detach
	found := e.sweepInBackground(ctx)
	defer found()
	s, err := e.make(ctx, o.CreateOptions, args, c, found)
	if err != nil {
		return "", 0, err
	}
	code, err = e.spawn.Run(ctx, s, monitor.Options{
		Detach: o.Detach, Keep: !o.Remove, Interactive: o.Interactive, GroupMade: true,
		Streams: spawn.Connect(c.In, c.Out, c.Err, *o.TTY, o.Interactive),
	})
	return s.ID(), code, err
}

// Create makes a container that [Engine.Start] runs, and returns its id.
func (e *Engine) Create(ctx context.Context, o CreateOptions, args []string, c Caller) (id string, err error) {
	if err := e.check(o, true); err != nil {
		return "", err
	}
	interrupt.Clean()
	if o.TTY == nil { // whoever starts it may sit anywhere
		o.TTY = new(bool)
	}
	found := e.sweepInBackground(ctx)
	defer found()
	s, err := e.make(ctx, o, args, c, found)
	if err != nil {
		return "", err
	}
	return s.ID(), e.spawn.Create(ctx, s)
}

// Check finds what is wrong with the options before anything is made or pulled. Those of the root are
// checked by its stage, which comes first.
func (e *Engine) Check(o RunOptions) error { return e.check(o.CreateOptions, !o.Remove) }

func (e *Engine) check(o CreateOptions, keep bool) error {
	if o.Image == "" {
		return errors.New("no image: name one by -i, or as the first argument")
	}
	if err := o.cgroup().Check(); err != nil {
		return err
	}
	if err := o.Policies.Check(keep); err != nil {
		return err
	}
	return o.Connection.Check()
}

// sweepInBackground looks for what was left behind, which takes a while where there are many containers, while its caller goes
// on, who waits for it at the end at the latest. What was found may have been in the way: then a second try is
// worth it.
func (e *Engine) sweepInBackground(ctx context.Context) (found func() bool) {
	swept := make(chan bool, 1)
	go func() { swept <- e.sweep(ctx) }()
	return sync.OnceValue(func() bool { return <-swept && ctx.Err() == nil })
}

// make runs the stages of the pipe, beside the sweep. An image that is not there is pulled.
func (e *Engine) make(ctx context.Context, o CreateOptions, args []string, c Caller, found func() bool) (*spec.Spec, error) {
	s, missing, err := e.compose(ctx, o, args)
	if err != nil && !missing && found() {
		s, missing, err = e.compose(ctx, o, args)
	}
	if missing {
		if err = c.Pull(ctx, o.Image); err != nil {
			return nil, err
		}
		s, _, err = e.compose(ctx, o, args)
	}
	if err == nil {
		o.Policies.Annotate(s)
	}
	return s, err
}

// PrintSpec prints the document that the pipe comes to, and releases what it stands for: nothing runs.
func (e *Engine) PrintSpec(ctx context.Context, o RunOptions, args []string, out io.Writer) error {
	if err := e.Check(o); err != nil {
		return err
	}
	s, missing, err := e.compose(ctx, o.CreateOptions, args)
	if missing {
		return fmt.Errorf("%w: pull it first", err)
	}
	if err != nil {
		return err
	}
	err = s.Write(out)
	e.undo(interrupt.Undoing(ctx), s)
	return err
}

// compose runs the stages on a new document; missing says that the image is not there.
func (e *Engine) compose(ctx context.Context, o CreateOptions, args []string) (s *spec.Spec, missing bool, err error) {
	s = spec.New(state.NewID())
	mount := func(ctx context.Context, s *spec.Spec) error {
		err := e.rootfs.Mount(o.rootfs(), o.Image, args)(ctx, s)
		missing = errors.Is(err, state.ErrNotFound)
		return err
	}
	if err := e.Dir.Acquire(s.ID()); err != nil {
		return nil, false, err
	}
	err = spec.Compose(e.undo, mount, e.cgroup.Create(o.cgroup()), e.Network.Attach(o.network()))(ctx, s)
	return s, missing, err
}

// undo releases what a document stands for that came not to its end. Where that fails, the next
// command finds it.
func (e *Engine) undo(ctx context.Context, s *spec.Spec) {
	if err := e.release(ctx, s); err != nil {
		e.rootfs.Warn("clean up after container %s: %v", s.ID(), err)
		return
	}
	e.Dir.Release(s.ID())
}

// Start runs a stopped container again, in the background: the same files, addresses and environment,
// and the log goes on.
func (e *Engine) Start(ctx context.Context, c *state.Container) error {
	interrupt.Clean()
	found := e.sweepInBackground(ctx)
	defer found()
	err := e.start(ctx, c)
	if err != nil && found() {
		err = e.start(ctx, c)
	}
	return err
}

func (e *Engine) start(ctx context.Context, c *state.Container) error {
	defer e.Dir.Release(c.ID) // when it has given back the lock
	if err := e.spawn.SettleEnd(ctx, c); err != nil {
		return err
	}
	unlock, err := e.Dir.Lock(c.ID)
	if err != nil {
		return err
	}
	defer unlock()
	if c, err = e.Dir.Load(c.ID); err != nil { // another command may have been quicker
		return err
	}
	if c.Running && e.spawn.Handle(c).Paused() {
		return monitor.ErrPaused
	}
	if c.Running || c.Restarting() {
		return nil
	}
	if err := e.Dir.AcquireLocked(c.ID); err != nil {
		return err
	}
	s := c.Spec
	// Where the machine or the monitor died, what it should have released is still there.
	if err := e.release(ctx, s); err != nil {
		return fmt.Errorf("clean up after the last run: %w", err)
	}
	err = e.rootfs.Remount(ctx, s)
	if err == nil {
		err = e.Network.Up(ctx, s)
	}
	if err == nil {
		_, err = e.spawn.Start(ctx, s, monitor.Options{Detach: true, Keep: true})
	}
	if err != nil {
		return errors.Join(err, e.release(interrupt.Undoing(ctx), s))
	}
	return nil
}
