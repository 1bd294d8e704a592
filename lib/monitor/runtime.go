// Package spawn runs the program of an OCI document in namespaces of its own, and later ones beside it
// (exec). It is the last stage of the pipe: it reads everything and writes nothing into the document.
//
// Who does what:
//
//	the child         forked into the new namespaces: performs a list of system calls, the last of which is execve(2)
//	the foreground    md-spawn run or mydocker run: moves the streams, passes signals on, keeps the log
//	md-spawn monitor  the same for a detached container, with nobody in front of it
//	md-spawn reap     stays in the container as PID 1 (--init)
//
// Whoever waits for a container is its parent, and the container dies with it: what runs has a reader
// of its output and somebody who records its end, always.
//
// State: RunFile in the runtime directory while the program runs; SpawnFile in the bundle where the
// container is kept when it ends; config.json and LogFile in the bundle.
package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Runtime starts containers of one state directory.
type Runtime struct {
	dir state.Dir

	// Release gives back what the other tools made for the container, when its program has ended:
	// by the document's poststop hooks, unless the caller can do the same without more processes.
	Release func(context.Context, *spec.Spec) error

	// Warn tells the user of what is no error but perhaps not meant.
	Warn func(format string, args ...any)
}

// New returns the runtime of the state directory. It makes nothing.
func New(dir state.Dir) *Runtime {
	return &Runtime{
		dir:     dir,
		Release: func(ctx context.Context, s *spec.Spec) error { return s.Undo(ctx) },
		Warn:    func(string, ...any) {},
	}
}

// Options say how a container is run.
type Options struct {
	Detach      bool // in the background, with a monitor
	Keep        bool // the container stays when its program ends, until it is removed
	Interactive bool // the program's input stays open, or is the caller's
	Streams     spawn.Streams

	wake  <-chan os.Signal // of a monitor: somebody may have stopped the container; nil in the foreground
	ports *hostport.Held   // of a monitor: those that it was handed; nil for none
}

// Run runs the container of a document for the first time. In the foreground it returns the program's
// exit code when the program has ended; detached, 0 when it runs. Where the program does not come to
// run, all that the document stands for is released.
func (r *Runtime) Run(ctx context.Context, s *spec.Spec, o Options) (code int, err error) {
	id, err := state.EnsureID(s)
	if err == nil {
		if run, _ := r.dir.ReadRun(id); run.Init.Life() != state.Dead { // what the document stands for is in use
			return 0, fmt.Errorf("container %s runs already", id)
		}
	}
	if err == nil {
		err = r.dir.Acquire(id)
	}
	if err == nil {
		err = r.register(s, o)
	}
	if err == nil {
		code, err = r.Start(ctx, s, o)
	}
	var late *lateError
	if err == nil || errors.As(err, &late) {
		r.dir.Release(s.ID())
		return code, err
	}
	return code, errors.Join(err, r.abandon(interrupt.Undoing(ctx), s))
}

// Create registers the container of a document that is started later, and is kept until it is removed. What only a
// running one needs is released. Where it fails, all that the document stands for is.
func (r *Runtime) Create(ctx context.Context, s *spec.Spec) error {
	err := r.dir.Acquire(s.ID())
	if err == nil {
		err = r.register(s, Options{Keep: true, Detach: true})
	}
	if err == nil {
		err = r.Release(ctx, s)
	}
	if err != nil {
		return errors.Join(err, r.abandon(interrupt.Undoing(ctx), s))
	}
	r.dir.Release(s.ID())
	return nil
}

// abandon takes back a container that did not come to run. Its runtime directory, which says that it is in
// our hands, goes last, and stays where the release fails.
func (r *Runtime) abandon(ctx context.Context, s *spec.Spec) error {
	if !state.IsID(s.ID()) {
		return r.Release(ctx, s)
	}
	r.removeFiles(s.ID())
	err := r.Release(ctx, s)
	if err == nil {
		r.unregister(s.ID())
	}
	return err
}

// Start runs a registered container, for the first time or again. Where its program does not come to
// run, what it was to use is the caller's to release.
func (r *Runtime) Start(ctx context.Context, s *spec.Spec, o Options) (code int, err error) {
	if o.Detach {
		return 0, r.detach(ctx, s.ID(), nil)
	}
	return r.run(ctx, s, o, func() error { return r.started(s.ID(), false) })
}

// lateError is what went wrong when the program had ended.
type lateError struct{ error }

func (e *lateError) Unwrap() error { return e.error }

// register writes the document into the bundle, and the file that makes the container stay. A
// document that came without a bundle of ours gets one.
func (r *Runtime) register(s *spec.Spec, o Options) error {
	if err := spawn.Check(s); err != nil {
		return err
	}
	if !spawn.OwnMounts(s.Linux) { // nobody would take its mounts away
		return errors.New("linux.namespaces: a container without a mount namespace of its own: md-spawn create makes one of a bundle, and run --bundle with an id")
	}
	id := s.ID()
	data, err := s.Encode()
	if err != nil {
		return err
	}
	if err := state.WriteFileVolatile(r.dir.Config(id), data); err != nil {
		return fmt.Errorf("register container %s: %w", id, err)
	}
	if !o.Keep {
		return nil
	}
	err = r.dir.Persist(id, s.Annotation(spec.AnnotationName))
	if err == nil { // last: where this file is, the others are
		err = state.WriteJSON(r.spawnFile(id), state.Spawn{Created: time.Now(), Detached: o.Detach})
	}
	if err != nil {
		return fmt.Errorf("register container %s: %w", id, err)
	}
	return nil
}

// Rewrite writes the document of a container anew. The caller has its lock.
func (r *Runtime) Rewrite(s *spec.Spec) error {
	data, err := s.Encode()
	if err != nil {
		return err
	}
	return state.WriteFile(r.dir.Config(s.ID()), data, 0o600)
}

// unregister takes back what register and the run have written. What other tools keep in the bundle
// is theirs. It is idempotent.
func (r *Runtime) unregister(id string) {
	if !state.IsID(id) {
		return
	}
	r.removeFiles(id)
	_ = os.RemoveAll(r.dir.Runtime(id))
}

// removeFiles removes what is ours in the bundle.
func (r *Runtime) removeFiles(id string) {
	for _, path := range append(crilog.Files(r.LogPath(id)), crilog.TempFile(r.LogPath(id)), r.spawnFile(id), r.dir.Config(id)) {
		_ = os.RemoveAll(path) // the bundle goes as a whole when the root file system does
	}
	_ = os.Remove(r.dir.Bundle(id)) // stays where another tool has something in it
}

// ErrRunning says that a container that was to be removed runs: somebody has just started it.
var ErrRunning = errors.New("it is running")

// Remove removes a container that does not run: everything that was made for it. It is idempotent.
func (r *Runtime) Remove(ctx context.Context, s *spec.Spec) error {
	unlock, err := r.dir.Lock(s.ID())
	if err != nil {
		return err
	}
	defer unlock()
	if r.dir.Look(s.ID()).Program != state.Dead {
		return ErrRunning
	}
	if err := r.dir.AcquireLocked(s.ID()); err != nil { // so that a crash in the middle is found
		return err
	}
	// From here on it is not kept, and so the release is a whole one.
	if err := os.RemoveAll(r.spawnFile(s.ID())); err != nil { // whatever lies there
		return err
	}
	if err := r.Release(ctx, s); err != nil {
		return err
	}
	r.unregister(s.ID())
	return nil
}

// LogPath is where the output of container id is kept.
func (r *Runtime) LogPath(id string) string { return filepath.Join(r.dir.Bundle(id), state.LogFile) }

func (r *Runtime) spawnFile(id string) string {
	return filepath.Join(r.dir.Bundle(id), state.SpawnFile)
}

func (r *Runtime) runFile(id string) string {
	return filepath.Join(r.dir.Runtime(id), state.RunFile)
}

// start makes the container and starts its program.
func (r *Runtime) start(ctx context.Context, s *spec.Spec, o Options) (*spawn.Child, *spawn.Pump, error) {
	if err := spawn.Cancelled(ctx); err != nil {
		return nil, nil, err
	}
	p, theirs := &spawn.Pump{}, &spawn.Stdio{}
	if !s.Process.Terminal {
		var err error
		if theirs, p, err = spawn.Pipes(o.Interactive); err != nil {
			return nil, nil, err
		}
	}
	l, err := r.launchOf(ctx, s, spawn.SizeOf(o.Streams.Screen))
	if err == nil {
		l.Stdio, l.Resident = theirs, o.wake != nil
		var c *spawn.Child
		if c, err = l.Start(); err == nil {
			r.runHooks(ctx, s, c.PID)
			return c, p, nil
		}
	}
	theirs.Close()
	p.Close()
	err = spawn.Interrupted(ctx, err)
	_ = r.note(s.ID(), state.Process{}) // in place of the process that has ended, if it came so far
	if stopped := spawn.Cancelled(ctx); stopped != nil {
		err = stopped // whatever came of that: Ctrl-C meets the init, too
	}
	return nil, nil, err
}

// launchOf turns the document into what is to be started.
func (r *Runtime) launchOf(ctx context.Context, s *spec.Spec, size linux.WindowSize) (*spawn.Launch, error) {
	l, err := spawn.NewLaunch(s, r.dir.Bundle(s.ID()), size, r.dir.Mark())
	if err != nil {
		return nil, err
	}
	l.Die = true
	l.Sync = func(m spawn.SyncPoint, pid int) error { return r.meet(ctx, s, m, pid) }
	return l, nil
}

// meet is what is done outside where the child waits.
func (r *Runtime) meet(ctx context.Context, s *spec.Spec, m spawn.SyncPoint, pid int) error {
	switch m {
	case spawn.BeforeMounts:
		return r.created(ctx, s, pid)
	case spawn.Ready:
		if len(spawn.RuntimeHooks(s)) > 0 {
			return spawn.Cancelled(ctx)
		}
		return r.created(ctx, s, pid)
	}
	return spawn.RunContainerHooks(ctx, s, m, pid, s.State)
}

// created runs when the container's first process is there: it is written down, so that whoever comes
// finds it, and the hooks of the outside run.
func (r *Runtime) created(ctx context.Context, s *spec.Spec, pid int) error {
	if err := spawn.Cancelled(ctx); err != nil {
		return err
	}
	init, err := state.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := r.note(s.ID(), init); err != nil {
		return err
	}
	return s.RunHooks(ctx, spawn.RuntimeHooks(s), specs.StateCreating, pid)
}

// note writes down that container id is in the hands of this process, and what its first process is.
func (r *Runtime) note(id string, init state.Process) error {
	self, err := state.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return state.WriteVolatile(r.runFile(id), state.Run{Init: init, Monitor: self})
}

// runHooks runs the poststart hooks: an error of theirs is only told (runtime-spec, runtime.md
// "Lifecycle", step 9).
func (r *Runtime) runHooks(ctx context.Context, s *spec.Spec, pid int) {
	if s.Hooks == nil {
		return
	}
	if err := s.RunHooks(ctx, s.Hooks.Poststart, specs.StateRunning, pid); err != nil {
		fmt.Fprintln(os.Stderr, "md-spawn: warning: poststart", spawn.OneLine(err))
	}
}

// decodeLine reads what the monitor says in its one line.
func decodeLine(data []byte, v any) error {
	if len(data) == 0 {
		return errors.New("the monitor ended without a word")
	}
	return json.Unmarshal(data, v)
}
