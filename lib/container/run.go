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

// CreateOptions are the options of a container: those of the parts, in the README's order.
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
	Pull string `enum:",missing,always,never" default:"" placeholder:"WHEN" help:"Pull the image if it is missing (missing, the default), always, or never"`

	// Unnamed is set for a container that ends with the command that creates it, before other containers learn its name.
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

// ChooseTerminal sets TTY if the user did not: a program in the foreground of a terminal gets one.
func (o *RunOptions) ChooseTerminal(in io.Reader, out io.Writer) {
	if o.TTY == nil {
		terminal := !o.Detach && spawn.OnTerminal(in, out)
		o.TTY = &terminal
	}
}

// Caller holds the streams of the command that calls the engine, and how it pulls an image.
type Caller struct {
	In       io.Reader
	Out, Err io.Writer
	Pull     func(ctx context.Context, ref string) error // gets a missing image
}

// Run creates a container of an image and runs it. Detached, it returns the id; in the foreground, the exit code of the
// program. If the program cannot be started, everything is undone.
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
	if o.TTY == nil { // start may be called without a terminal
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

// Check returns an error about wrong options before anything is created or pulled. The options of the root file system
// are checked by its stage, which is the first.
func (e *Engine) Check(o RunOptions) error { return e.check(o.CreateOptions, !o.Remove) }

func (e *Engine) check(o CreateOptions, keep bool) error {
	if o.Image == "" {
		return errors.New("no image: name one with -i, or as the first argument")
	}
	if err := o.cgroup().Check(); err != nil {
		return err
	}
	if err := o.Policies.Check(keep); err != nil {
		return err
	}
	return o.Connection.Check()
}

// sweepInBackground starts a sweep, which takes time with many containers. found waits for it and reports whether it
// removed something: then a failed operation is worth a second attempt. The caller must call found before it returns.
func (e *Engine) sweepInBackground(ctx context.Context) (found func() bool) {
	swept := make(chan bool, 1)
	go func() { swept <- e.sweep(ctx) }()
	return sync.OnceValue(func() bool { return <-swept && ctx.Err() == nil })
}

// Pulls says whether the image is pulled, which is in the store or missing. The directory of a root file system never is.
func (o *CreateOptions) Pulls(missing bool) bool {
	return (missing && o.Pull != "never" || o.Pull == "always") && !rootfs.IsTree(o.Image)
}

// make runs the stages of the pipe in parallel with the sweep. It pulls the image as the options say.
func (e *Engine) make(ctx context.Context, o CreateOptions, args []string, c Caller, found func() bool) (*spec.Spec, error) {
	if o.Pulls(false) {
		if err := c.Pull(ctx, o.Image); err != nil {
			return nil, err
		}
	}
	s, missing, err := e.compose(ctx, o, args)
	if err != nil && !missing && found() {
		s, missing, err = e.compose(ctx, o, args)
	}
	if missing && o.Pulls(true) {
		if err = c.Pull(ctx, o.Image); err != nil {
			return nil, err
		}
		s, _, err = e.compose(ctx, o, args)
	}
	if err != nil {
		return nil, err
	}
	o.Policies.Annotate(s)
	return s, nil
}

// Document returns the document that Run would run, and undoes what the stages did to make it.
func (e *Engine) Document(ctx context.Context, o RunOptions, args []string) (*spec.Spec, error) {
	if err := e.Check(o); err != nil {
		return nil, err
	}
	s, missing, err := e.compose(ctx, o.CreateOptions, args)
	if missing {
		return nil, fmt.Errorf("%w: pull it first", err)
	}
	if err != nil {
		return nil, err
	}
	e.undo(interrupt.Undoing(ctx), s)
	return s, nil
}

// compose runs the stages on a new document. missing reports that the image is not in the store.
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

// undo releases a document that will not run. If that fails, the container stays acquired and the next sweep finds it.
func (e *Engine) undo(ctx context.Context, s *spec.Spec) {
	if err := e.release(ctx, s); err != nil {
		e.rootfs.Warn("clean up after container %s: %v", s.ID(), err)
		return
	}
	e.Dir.Release(s.ID())
}

// Start runs a stopped container again in the background, with the same files, addresses and environment. Its log
// continues.
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
	defer e.Dir.Release(c.ID) // after unlock
	if err := e.spawn.SettleEnd(ctx, c); err != nil {
		return err
	}
	unlock, err := e.Dir.Lock(c.ID)
	if err != nil {
		return err
	}
	defer unlock()
	if c, err = e.Dir.Load(c.ID); err != nil { // another command may have changed it
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
	// After a crash of the machine or the monitor the last run is not released.
	if err := e.release(ctx, s); err != nil {
		return fmt.Errorf("clean up after the last run: %w", err)
	}
	if err := e.startProgram(ctx, s); err != nil {
		return errors.Join(err, e.release(interrupt.Undoing(ctx), s))
	}
	return nil
}

func (e *Engine) startProgram(ctx context.Context, s *spec.Spec) error {
	if err := e.rootfs.Remount(ctx, s); err != nil {
		return err
	}
	if err := e.Network.Up(ctx, s); err != nil {
		return err
	}
	_, err := e.spawn.Start(ctx, s, monitor.Options{Detach: true, Keep: true})
	return err
}
