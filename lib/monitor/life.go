package monitor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// supervision is the time for which this process stays with a container: one run of its program, and in a monitor as many
// as the restart policy wants.
type supervision struct {
	*Runtime
	o     Options
	log   *crilog.Log
	ports *hostport.Held
	wait  time.Duration // before the last restart; 0: there was none
	begun time.Time     // the run
	kills uint64        // for want of memory, of all runs: the group stays between them

	attended *os.File // has the lock that says so (state.Dir.Attend)
}

// run starts the container, calls running, and stays with it to its end; a monitor stays as long as the restart
// policy wants. An error before the program ran is the caller's to clean up after. The ports that the container
// publishes are held for that time.
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

// holdPorts binds the host's ports that the container publishes, unless this process was handed the sockets.
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

// releasing returns a runtime that gives the ports back before it releases a container: where the release is done,
// another container may have them.
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
		c, p, err := t.start(ctx, s, t.o)
		code := 0
		switch {
		case err == nil:
			noted := t.noteInput(s.ID(), c, p)
			if noted == nil {
				noted = running()
			}
			if noted == nil {
				t.shrink(s, c, p)
			}
			code, err = t.attend(c, p, noted)
			if noted != nil && t.wait == 0 { // it never counted as running; whoever starts it may have the lock
				return 0, errors.Join(err, t.note(s.ID(), state.Process{}))
			}
		case t.wait == 0:
			return 0, err
		default: // as a program that failed: who started the container has gone long since
			code = spawn.AsError(err).ExitStatus()
			err = t.log.Write("stderr", fmt.Appendf(nil, "md-spawn: start again: %v\n", err))
		}
		if again, err := t.ended(ctx, s, code, err); !again {
			return code, err
		}
		running = func() error { return t.started(s.ID(), true) }
	}
}

// noteInput writes down by which descriptor of the monitor the program has its input.
func (t *supervision) noteInput(id string, c *spawn.Child, p *spawn.Pump) error {
	input := p.Input
	if c.Console != nil {
		input = c.Console
	}
	if input == nil || t.o.wake == nil {
		return nil
	}
	run, err := t.ownNote(id, c.PID)
	run.Input = linux.RawFD(input)
	return errors.Join(err, state.WriteVolatile(t.runFile(id), run))
}

// ownNote returns what this process has noted about a container, also where that is lost or torn. pid is that of the
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

// attend stays with a running program to its end, and returns its exit code. One whose start could not be noted is
// killed.
func (t *supervision) attend(c *spawn.Child, p *spawn.Pump, noted error) (int, error) {
	if noted != nil {
		c.Signal(syscall.SIGKILL) // and attended to all the same, to its end
	}
	code, err := p.Attend(c, t.o.Streams, t.log.Write)
	if err != nil {
		c.Signal(syscall.SIGKILL)
		code = c.Wait()
	}
	return code, errors.Join(noted, err, t.log.Flush())
}

// ended brings a run to its end, and reports whether the program is to be started again, which is so when the pause
// before that is over.
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

// handOver leaves a container, whose program has ended in the foreground, to a monitor that starts it again: who
// ran it gets the exit code, as with docker.
func (t *supervision) handOver(ctx context.Context, s *spec.Spec, wait time.Duration) error {
	if t.givenUp(ctx, s.ID(), wait, nil) {
		return t.leave(interrupt.Undoing(ctx), s)
	}
	if err := t.detach(context.WithoutCancel(ctx), s.ID(), t.ports.Files(), againWord); err != nil {
		return &lateError{errors.Join(fmt.Errorf("start again: %w", err), t.leave(interrupt.Undoing(ctx), s))}
	}
	return nil
}

// finish records the end of the program. Where the restart policy wants it again after the pause, that is noted
// under the same lock: who stops the container sees it, or is seen. Else what the container held is released.
// Where that fails, the note of who ran it stays, for the next command to try again.
func (r *Runtime) finish(ctx context.Context, s *spec.Spec, code int, wait time.Duration, kills *uint64) (again bool, err error) {
	id := s.ID()
	unlock, err := r.dir.Lock(id)
	if err != nil {
		return false, err
	}
	defer unlock()
	if !r.dir.Kept(id) {
		r.removeFiles(id) // and the release removes the bundle, where nothing is in it any more
		err = r.Release(ctx, s)
		if err == nil {
			r.unregister(id)
		}
		return false, err
	}
	life, _ := r.dir.ReadSpawn(id) // a torn file is written anew
	before := *kills
	*kills = cgroup.OOMKills(s) // now: the group goes with the release
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

// writeLife notes how a container has ended.
func (r *Runtime) writeLife(id string, life state.Spawn) error {
	return state.WriteOver(r.spawnFile(id), func(path string) error { return state.WriteJSON(path, life) })
}

// leave releases a container whose end is written down and that is not started again.
func (r *Runtime) leave(ctx context.Context, s *spec.Spec) error {
	unlock, err := r.dir.Lock(s.ID())
	if err != nil {
		return err
	}
	defer unlock()
	return r.dropRun(s.ID(), r.Release(ctx, s))
}

// dropRun takes away the note of who runs a container, unless releasing it went wrong.
func (r *Runtime) dropRun(id string, err error) error {
	if err != nil {
		return err
	}
	r.dir.DropTemps(id)                // of whoever was killed while he wrote about it
	return os.RemoveAll(r.runFile(id)) // whatever lies there
}

// started notes that the program of a kept container runs: by the will of a user, whose command has the lock where there
// may be others, or again by its restart policy.
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
	if errors.As(err, &unreadable) { // but a torn file is written anew
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
