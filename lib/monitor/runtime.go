// Package monitor stays with containers: it runs their programs in the foreground or by a monitor process, keeps their
// logs, records their ends, restarts them, and later runs programs beside them (exec). It is the last stage of the pipe:
// it reads the document and writes nothing into it.
//
// The processes:
//
//	the child         forked into the new namespaces: performs a list of system calls that ends with execve(2)
//	the foreground    md-spawn run or mydocker run: copies the streams, passes signals on, writes the log
//	md-spawn monitor  does the same for a detached container, without a caller
//	md-spawn reap     stays in the container as PID 1 (--init)
//
// The process that waits for a container is its parent, and the container dies with it. So a running container always has
// a process that reads its output and records its end.
//
// State: RunFile in the runtime directory while the program runs; SpawnFile in the bundle if the container is kept when
// its program ends; config.json and LogFile in the bundle.
package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Runtime starts containers of one state directory.
type Runtime struct {
	dir state.Dir

	// Release removes what the other tools made for the container, when its program has ended. It runs the poststop hooks
	// of the document, unless the caller does the same without more processes.
	Release func(context.Context, *spec.Spec) error

	// Warn reports what is no error but may surprise the user.
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

	// GroupMade says that this process has just made the container's control group with its limits.
	GroupMade bool

	wake  <-chan os.Signal // of a monitor: a command may have stopped the container; nil in the foreground
	ports *hostport.Held   // of a monitor: the host ports that it was handed; nil for none
}

// Run runs the container of a document for the first time. In the foreground it returns the program's exit code when the
// program has ended; detached, 0 when it runs. If the program does not start, all that the document describes is
// released.
func (r *Runtime) Run(ctx context.Context, s *spec.Spec, o Options) (code int, err error) {
	id, err := state.EnsureID(s)
	if err != nil {
		return 0, errors.Join(err, r.abandon(interrupt.Undoing(ctx), s))
	}
	if run, _ := r.dir.ReadRun(id); run.Init.Life() != state.Dead { // nothing is released: it is in use
		return 0, fmt.Errorf("container %s is running already", id)
	}
	code, err = r.registerAndStart(ctx, s, o)
	var late *lateError
	if err == nil || errors.As(err, &late) {
		r.dir.Release(id)
		return code, err
	}
	return code, errors.Join(err, r.abandon(interrupt.Undoing(ctx), s))
}

func (r *Runtime) registerAndStart(ctx context.Context, s *spec.Spec, o Options) (int, error) {
	if err := r.dir.Acquire(s.ID()); err != nil {
		return 0, err
	}
	if err := r.register(s, o); err != nil {
		return 0, err
	}
	return r.Start(ctx, s, o)
}

// Create registers the container of a document that is started later, and kept until it is removed. It releases what only
// a running container needs; if it fails, all that the document describes.
func (r *Runtime) Create(ctx context.Context, s *spec.Spec) error {
	if err := r.create(ctx, s); err != nil {
		return errors.Join(err, r.abandon(interrupt.Undoing(ctx), s))
	}
	r.dir.Release(s.ID())
	return nil
}

func (r *Runtime) create(ctx context.Context, s *spec.Spec) error {
	if err := r.dir.Acquire(s.ID()); err != nil {
		return err
	}
	if err := r.register(s, Options{Keep: true, Detach: true}); err != nil {
		return err
	}
	return r.Release(ctx, s)
}

// abandon removes a container that failed to start. Its runtime directory, which names us as its owner, is removed
// last, and stays if the release fails.
func (r *Runtime) abandon(ctx context.Context, s *spec.Spec) error {
	if !state.IsID(s.ID()) {
		return r.Release(ctx, s)
	}
	r.removeFiles(s.ID())
	if err := r.Release(ctx, s); err != nil {
		return err
	}
	r.unregister(s.ID())
	return nil
}

// Start runs a registered container, for the first time or again. If its program does not start, the caller releases
// what was made for it.
func (r *Runtime) Start(ctx context.Context, s *spec.Spec, o Options) (code int, err error) {
	if o.Detach {
		return 0, r.detach(ctx, s.ID(), nil)
	}
	return r.run(ctx, s, o, func() error { return r.started(s.ID(), false) })
}

// lateError is an error after the end of the program.
type lateError struct{ error }

func (e *lateError) Unwrap() error { return e.error }

// register writes the document into the bundle, and the file that says that the container is kept. It makes the bundle if
// there is none.
func (r *Runtime) register(s *spec.Spec, o Options) error {
	if err := spawn.Check(s); err != nil {
		return err
	}
	if !spawn.OwnMounts(s.Linux) { // its mounts would stay
		return errors.New("linux.namespaces: want a new mount namespace: without one, use md-spawn create, or run --bundle with an id")
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
	if err := r.dir.Persist(id, s.Annotation(spec.AnnotationName)); err != nil {
		return fmt.Errorf("register container %s: %w", id, err)
	}
	// Last: if this file exists, the others do.
	if err := state.WriteJSON(r.spawnFile(id), state.Spawn{Created: time.Now(), Detached: o.Detach}); err != nil {
		return fmt.Errorf("register container %s: %w", id, err)
	}
	return nil
}

// Rewrite replaces the document of a container. The caller holds its lock.
func (r *Runtime) Rewrite(s *spec.Spec) error {
	data, err := s.Encode()
	if err != nil {
		return err
	}
	return state.WriteFile(r.dir.Config(s.ID()), data, 0o600)
}

// unregister removes what register and the run have written. Files of other tools stay in the bundle. It is idempotent.
func (r *Runtime) unregister(id string) {
	if !state.IsID(id) {
		return
	}
	r.removeFiles(id)
	_ = os.RemoveAll(r.dir.Runtime(id))
}

// removeFiles removes our files in the bundle.
func (r *Runtime) removeFiles(id string) {
	for _, path := range append(crilog.Files(r.LogPath(id)), crilog.TempFile(r.LogPath(id)), r.spawnFile(id), r.dir.Config(id)) {
		_ = os.RemoveAll(path) // md-rootfs umount removes the whole bundle
	}
	_ = os.Remove(r.dir.Bundle(id)) // stays if another tool has files in it
}

// LogPath returns the path of the log of container id.
func (r *Runtime) LogPath(id string) string { return filepath.Join(r.dir.Bundle(id), state.LogFile) }

func (r *Runtime) spawnFile(id string) string {
	return filepath.Join(r.dir.Bundle(id), state.SpawnFile)
}

func (r *Runtime) runFile(id string) string {
	return filepath.Join(r.dir.Runtime(id), state.RunFile)
}

// decodeLine decodes the report of a monitor.
func decodeLine(data []byte, v any) error {
	if len(data) == 0 {
		return errors.New("the monitor ended without a report")
	}
	return json.Unmarshal(data, v)
}
