package monitor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// supervision is the state of a process that stays with a container: for one run of its program, and in a monitor for as
// many as the restart policy allows.
type supervision struct {
	*Runtime
	o     Options
	log   *crilog.Log
	ports *hostport.Held
	wait  time.Duration // before the last restart; 0: there was none
	begun time.Time     // of the run
	kills uint64        // OOM kills of all runs: the group stays between them

	attended *os.File // holds the lock of the monitor byte (state.Dir.LockMonitorByte)
}

// run starts the container, calls running, and stays with the container until it ends; a monitor stays as long as the
// restart policy allows. If the program does not start, the caller cleans up. The host ports are held throughout.
func (r *Runtime) run(ctx context.Context, s *spec.Spec, o Options, running func() error) (int, error) {
	attended := r.dir.LockMonitorByte(s.ID())
	defer attended.Close()
	ports, err := r.holdPorts(s, o.ports)
	if err != nil {
		return 0, err
	}
	defer ports.Close()
	log, err := crilog.Open(r.LogPath(s.ID()), s.Annotation(spec.AnnotationLogOpts))
	if err != nil {
		return 0, err
	}
	defer log.Close()
	t := &supervision{Runtime: r.releasing(ports), o: o, log: log, ports: ports, attended: attended}
	return t.run(ctx, s, running)
}

// holdPorts binds the host ports of the container, unless the caller handed the sockets over.
func (r *Runtime) holdPorts(s *spec.Spec, handed *hostport.Held) (*hostport.Held, error) {
	if handed != nil || s.Annotation(spec.AnnotationPorts) == "" {
		return handed, nil
	}
	n, err := r.dir.ReadNet(s.ID())
	if err != nil {
		return nil, err
	}
	return hostport.Hold(n)
}

// releasing returns a runtime that closes the ports before it releases a container: after the release, another container
// may bind them.
func (r *Runtime) releasing(ports *hostport.Held) *Runtime {
	own := *r
	own.Release = func(ctx context.Context, s *spec.Spec) error {
		ports.Close()
		return r.Release(ctx, s)
	}
	return &own
}

func (t *supervision) run(ctx context.Context, s *spec.Spec, running func() error) (int, error) {
	for {
		t.begun = time.Now()
		code, err := 0, error(nil)
		c, startErr := t.start(ctx, s, t.o)
		switch {
		case startErr == nil:
			noted := t.noteRunning(s.ID(), c, running)
			if noted == nil {
				t.shrink(s, c)
			}
			code, err = t.attend(c, noted)
			if noted != nil && t.wait == 0 { // the container never counted as running, and the command that starts it may hold the lock
				return 0, errors.Join(err, t.note(s.ID(), state.Process{}))
			}
		case t.wait == 0:
			return 0, startErr
		default: // a restart: the command that started the container has returned, so this counts as a failed run
			code = spawn.AsError(startErr).ExitStatus()
			err = t.log.Write("stderr", fmt.Appendf(nil, "md-spawn: start again: %v\n", startErr))
		}
		if again, err := t.ended(ctx, s, code, err); !again {
			return code, err
		}
		running = func() error { return t.started(s.ID(), true) }
	}
}

// noteRunning records the program's input and calls running.
func (t *supervision) noteRunning(id string, c *spawn.Child, running func() error) error {
	if err := t.noteInput(id, c); err != nil {
		return err
	}
	return running()
}

// noteInput records the monitor's descriptor of the program's input.
func (t *supervision) noteInput(id string, c *spawn.Child) error {
	fd, ok := c.Input()
	if !ok || t.o.wake == nil {
		return nil
	}
	run, err := t.ownNote(id, c.PID)
	run.Input = fd
	return errors.Join(err, state.WriteVolatile(t.runFile(id), run))
}

// ownNote returns the run file that this process has written, made anew if it is missing or torn. pid is that of the
// first process, 0 if it has ended.
func (r *Runtime) ownNote(id string, pid int) (run state.Run, err error) {
	if run, err = r.dir.ReadRun(id); err == nil && run != (state.Run{}) {
		return run, nil
	}
	run = state.Run{}
	if run.Monitor, err = state.FindProcess(os.Getpid()); err == nil && pid != 0 {
		run.Init, err = state.FindProcess(pid)
	}
	return run, err
}

// attend stays with a running program to its end and returns its exit code. If its start could not be recorded, as noted
// says, it is killed first.
func (t *supervision) attend(c *spawn.Child, noted error) (int, error) {
	if noted != nil {
		c.Signal(syscall.SIGKILL)
	}
	code, err := c.Attend(t.o.Streams, t.log.Write)
	if err != nil {
		c.Signal(syscall.SIGKILL)
		code = c.Wait()
	}
	return code, errors.Join(noted, err, t.log.Flush())
}

// ended records the end of a run, and reports whether the program is to be started again. If so, it has waited for the
// pause before the restart.
func (t *supervision) ended(ctx context.Context, s *spec.Spec, code int, err error) (again bool, _ error) {
	t.wait = pause(t.wait, time.Since(t.begun))
	again, ferr := t.finish(interrupt.Undoing(ctx), s, code, t.wait, &t.kills)
	if err = errors.Join(err, ferr); err != nil {
		return false, &lateError{err}
	}
	switch {
	case !again:
		return false, nil
	case t.o.wake == nil:
		return false, t.handOver(ctx, s, t.wait)
	case t.givenUp(ctx, s.ID(), t.wait, t.o.wake):
		return false, t.leave(interrupt.Undoing(ctx), s)
	}
	return true, nil
}

// handOver starts a monitor that restarts a container whose program has ended in the foreground. The foreground command
// returns the exit code, as with docker.
func (t *supervision) handOver(ctx context.Context, s *spec.Spec, wait time.Duration) error {
	if t.givenUp(ctx, s.ID(), wait, nil) {
		return t.leave(interrupt.Undoing(ctx), s)
	}
	if err := t.detach(context.WithoutCancel(ctx), s.ID(), t.ports.Files(), againWord); err != nil {
		return &lateError{errors.Join(fmt.Errorf("start again: %w", err), t.leave(interrupt.Undoing(ctx), s))}
	}
	return nil
}

// finish records the end of the program. If the restart policy starts it again after the pause, finish records that under
// the same lock: a command that stops the container sees it, or is seen here. Else finish releases the container. If that
// fails, the run file stays, so that the next command tries again.
func (r *Runtime) finish(ctx context.Context, s *spec.Spec, code int, wait time.Duration, kills *uint64) (again bool, err error) {
	id := s.ID()
	unlock, err := r.dir.Lock(id)
	if err != nil {
		return false, err
	}
	defer unlock()
	if !r.dir.Kept(id) {
		r.removeFiles(id) // first: the release removes the bundle if it is empty
		err = r.Release(ctx, s)
		if err == nil {
			r.unregister(id)
		}
		return false, err
	}
	life, _ := r.dir.ReadSpawn(id) // a torn file is replaced
	before := *kills
	*kills = cgroup.OOMKills(s) // now: the release removes the group
	life.Finished, life.ExitCode, life.OOMKilled = time.Now(), code, *kills > before
	if err := r.writeLife(id, life); err != nil {
		return false, err
	}
	if !policyOf(s).wants(life) {
		return false, r.dropRun(id, r.Release(ctx, s))
	}
	run, err := r.ownNote(id, 0)
	run.Restart = time.Now().Add(wait)
	return true, errors.Join(err, state.WriteVolatile(r.runFile(id), run))
}

// writeLife records how a container has ended.
func (r *Runtime) writeLife(id string, life state.Spawn) error {
	return state.WriteOver(r.spawnFile(id), func(path string) error { return state.WriteJSON(path, life) })
}

// leave releases a container whose end is recorded and that is not started again.
func (r *Runtime) leave(ctx context.Context, s *spec.Spec) error {
	unlock, err := r.dir.Lock(s.ID())
	if err != nil {
		return err
	}
	defer unlock()
	return r.dropRun(s.ID(), r.Release(ctx, s))
}

// dropRun removes the run file of a container, unless err says that its release failed.
func (r *Runtime) dropRun(id string, err error) error {
	if err != nil {
		return err
	}
	r.dir.DropTemps(id)                // of killed writers
	return os.RemoveAll(r.runFile(id)) // it may be a directory
}

// started records that the program of a kept container runs: started by a user, whose command holds the lock if others may
// know the container, or again by the restart policy.
func (r *Runtime) started(id string, again bool) error {
	if !r.dir.Kept(id) {
		return nil
	}
	if again { // a user may be stopping it
		unlock, err := r.dir.Lock(id)
		if err != nil {
			return err
		}
		defer unlock()
	}
	life, err := r.dir.ReadSpawn(id)
	var unreadable *fs.PathError
	if errors.As(err, &unreadable) { // a torn file is replaced
		return err
	}
	life.Started, life.Finished, life.ExitCode, life.OOMKilled = time.Now(), time.Time{}, 0, false
	if again {
		life.Restarts++
	} else {
		life.Restarts, life.Stopped = 0, false
	}
	return state.WriteJSON(r.spawnFile(id), life)
}

// start makes the container and starts its program.
func (r *Runtime) start(ctx context.Context, s *spec.Spec, o Options) (*spawn.Child, error) {
	if err := interrupt.Cancelled(ctx); err != nil {
		return nil, err
	}
	c, err := r.launch(ctx, s, o)
	if err != nil {
		_ = r.note(s.ID(), state.Process{}) // replaces the process that has ended, if it was recorded
		if stopped := interrupt.Cancelled(ctx); stopped != nil {
			return nil, stopped // a Ctrl-C also kills the child: err is a consequence
		}
		return nil, err
	}
	r.poststart(ctx, s, c.PID)
	return c, nil
}

func (r *Runtime) launch(ctx context.Context, s *spec.Spec, o Options) (*spawn.Child, error) {
	group, err := r.groupOf(s, o)
	if err != nil {
		return nil, err
	}
	l, err := spawn.NewLaunch(s, r.dir.Bundle(s.ID()), group)
	if err != nil {
		return nil, err
	}
	if !s.Process.Terminal {
		l.Stdio = spawn.Pipes(o.Interactive)
	}
	l.Screen, l.Die, l.Resident = o.Streams.Screen, true, o.wake != nil
	l.HookState = s.State
	l.Created = func(pid int) error {
		init, err := state.FindProcess(pid)
		if err != nil {
			return err
		}
		return r.note(s.ID(), init)
	}
	return l.Start(ctx)
}

// groupOf returns the container's control group, with its limits applied; nil if it has none.
func (r *Runtime) groupOf(s *spec.Spec, o Options) (*cgroup.Group, error) {
	if path := s.LinuxPart().CgroupsPath; o.GroupMade && path != "" {
		return cgroup.Open(path)
	}
	return cgroup.Apply(s, r.dir.Mark())
}

// note records this process as the container's owner, and the container's first process.
func (r *Runtime) note(id string, init state.Process) error {
	self, err := state.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return state.WriteVolatile(r.runFile(id), state.Run{Init: init, Monitor: self})
}

// poststart runs the poststart hooks. Their errors are only warnings (runtime-spec, runtime.md "Lifecycle", step 9).
func (r *Runtime) poststart(ctx context.Context, s *spec.Spec, pid int) {
	if s.Hooks == nil {
		return
	}
	if err := s.RunHooks(ctx, s.Hooks.Poststart, specs.StateRunning, pid); err != nil {
		r.Warn("poststart %v", err)
	}
}

// policyOf returns the policy of a document. Invalid ones were refused when the container was made.
func policyOf(s *spec.Spec) restartPolicy {
	p, _ := parseRestart(s.Annotation(spec.AnnotationRestart))
	return p
}
