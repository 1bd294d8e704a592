package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/state"
)

// ErrPaused is returned about a container whose processes stand still.
var ErrPaused = errors.New("it is paused: unpause it first")

// Exec runs another program in a running container: in its namespaces and its control group. It
// returns the program's exit code; detached, 0 when it runs, with the null device for its streams.
func (r *Runtime) Exec(ctx context.Context, c *state.Container, proc *specs.Process, o Options) (int, error) {
	if o.Detach && (proc.Terminal || o.Interactive) {
		return 0, errors.New("a detached program has no input and no terminal: nobody stays to hold them")
	}
	// The pidfd holds on to the container's first process: should it end meanwhile, nothing is entered that
	// another process has under its pid.
	pidfd, err := spawn.OpenInit(c.Run.Init)
	if err != nil {
		return 0, err
	}
	defer pidfd.Close()
	if host, err := cgroup.ThisHost(); err == nil && host.Frozen(c.Spec.LinuxPart().CgroupsPath) {
		return 0, ErrPaused // another one would stand still with the others
	}
	p, theirs := &spawn.Pump{}, &spawn.Stdio{}
	if !proc.Terminal && !o.Detach {
		if theirs, p, err = spawn.Pipes(o.Interactive); err != nil {
			return 0, err
		}
	}
	l, err := r.execLaunch(c, proc, pidfd, spawn.SizeOf(o.Streams.Screen))
	if err == nil {
		l.Stdio, l.Die, l.Orphan = theirs, !o.Detach, o.Detach
		l.Sync = func(spawn.SyncPoint, int) error { return spawn.Cancelled(ctx) }
		var started *spawn.Child
		if started, err = l.Start(); err == nil {
			if o.Detach {
				return 0, nil
			}
			return p.Attend(started, o.Streams, nil)
		}
	}
	theirs.Close()
	p.Close()
	return 0, spawn.UnlessEnded(err, pidfd)
}

// execLaunch says how a process gets into container c.
func (r *Runtime) execLaunch(c *state.Container, proc *specs.Process, pidfd *os.File, size linux.WindowSize) (*spawn.Launch, error) {
	return spawn.Enter(c.Spec, c.Run.Init.Number(), proc, pidfd, size)
}

// Signal sends a signal to the container's first process. SIGKILL ends all processes of one whose first is not known, or
// is not to be reached, where the control group can do that.
func (r *Runtime) Signal(c *state.Container, sig syscall.Signal) error {
	pidfd, err := spawn.OpenInit(c.Run.Init)
	if err != nil && c.Running && sig == syscall.SIGKILL && (errors.Is(err, state.ErrElsewhere) || c.Run.Init.PID == 0) {
		return spawn.KillGroup(c.Spec.LinuxPart().CgroupsPath, err)
	}
	if err != nil {
		return err
	}
	defer pidfd.Close()
	linux.Trace("kill", "-"+strconv.Itoa(int(sig)), strconv.Itoa(c.Run.Init.PID))
	if err := linux.PidfdSignal(pidfd, sig); err != nil {
		if errors.Is(err, syscall.ESRCH) {
			return spawn.ErrNotRunning
		}
		return fmt.Errorf("send %s to container %s: %w", linux.SignalName(sig), c.ID, err)
	}
	return nil
}

// Wait waits until the container's first process has ended, for at most the given time in
// milliseconds (-1: for ever), and reports whether it has. No lock is held meanwhile.
func (r *Runtime) Wait(c *state.Container, milliseconds int) (bool, error) {
	pidfd, err := spawn.OpenInit(c.Run.Init)
	switch {
	case errors.Is(err, state.ErrElsewhere) || c.Run.Init.PID == 0 && c.Running:
		return r.watchEnd(c.ID, milliseconds), nil
	case err != nil:
		return true, nil
	}
	defer pidfd.Close()
	return linux.PidfdWait(pidfd, milliseconds)
}

// watchEnd is Wait for a process that no pidfd is to be had of.
func (r *Runtime) watchEnd(id string, milliseconds int) bool {
	for end := time.Now().Add(time.Duration(milliseconds) * time.Millisecond); ; time.Sleep(10 * time.Millisecond) {
		if r.dir.Look(id).Program == state.Dead {
			return true
		}
		if milliseconds >= 0 && time.Now().After(end) {
			return false
		}
	}
}
