package spawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// ErrNotRunning is wrapped by errors about a container whose program has ended.
var ErrNotRunning = errors.New("is not running")

// Exec runs another program in a running container: in its namespaces and its control group. It
// returns the program's exit code.
func (r *Runtime) Exec(ctx context.Context, c *state.Container, proc *specs.Process, o Options) (int, error) {
	l, err := r.execLaunch(c, proc)
	if err != nil {
		return 0, err
	}
	defer l.pidfd.Close()
	if l.pidNS != nil {
		defer l.pidNS.Close()
	}
	p := &pump{}
	l.stdio = &stdio{}
	if !proc.Terminal {
		if l.stdio, p, err = pipes(o.Interactive); err != nil {
			return 0, err
		}
	}
	l.plan.Size = sizeOf(o.Streams.Screen)
	l.before = func(int) error { return cancelled(ctx) }
	started, err := l.start()
	if err != nil {
		p.close()
		return 0, err
	}
	return p.attend(started, o.Streams, nil)
}

// execLaunch says how a process gets into container c. The pidfd holds on to the container's first
// process: should it end meanwhile, nothing is entered that another process has under its pid.
func (r *Runtime) execLaunch(c *state.Container, proc *specs.Process) (launch, error) {
	pidfd, err := linux.PidfdOpen(c.Run.Init.PID)
	if err != nil || !c.Run.Init.Alive() {
		if err == nil {
			pidfd.Close()
		}
		return launch{}, ErrNotRunning
	}
	l := launch{pidfd: pidfd, plan: plan{
		Process: proc, Joined: c.ID, Group: c.Spec.LinuxPart().CgroupsPath, Die: true,
	}}
	words := []string{"nsenter", "--target", strconv.Itoa(c.Run.Init.PID)}
	for _, ns := range c.Spec.Linux.Namespaces {
		words = append(words, "--"+string(ns.Type))
		if ns.Type == specs.PIDNamespace {
			// The pid namespace is that of children to come, so the parent enters it.
			l.pidNS, err = os.Open("/proc/" + strconv.Itoa(c.Run.Init.PID) + "/ns/pid")
			if err != nil {
				pidfd.Close()
				return launch{}, fmt.Errorf("enter container %s: %w", c.ID, errnoOf(err))
			}
			continue
		}
		l.plan.Enter |= namespaceFlags()[ns.Type]
	}
	linux.Trace(append(append(words, "--"), proc.Args...)...)
	return l, nil
}

// Signal sends a signal to the container's first process.
func (r *Runtime) Signal(c *state.Container, sig syscall.Signal) error {
	pidfd, err := linux.PidfdOpen(c.Run.Init.PID)
	if err != nil {
		return ErrNotRunning
	}
	defer pidfd.Close()
	if !c.Run.Init.Alive() { // asked after the pidfd was opened: it is this process then
		return ErrNotRunning
	}
	linux.Trace("kill", "-"+strconv.Itoa(int(sig)), strconv.Itoa(c.Run.Init.PID))
	if err := linux.PidfdSignal(pidfd, sig); err != nil {
		if errors.Is(err, syscall.ESRCH) {
			return ErrNotRunning
		}
		return fmt.Errorf("send %s to container %s: %w", linux.SignalName(sig), c.ID, err)
	}
	return nil
}

// Wait waits until the container's first process has ended, for at most the given time in
// milliseconds (-1: for ever), and reports whether it has. No lock is held meanwhile.
func (r *Runtime) Wait(c *state.Container, milliseconds int) (bool, error) {
	pidfd, err := linux.PidfdOpen(c.Run.Init.PID)
	if err != nil {
		return true, nil
	}
	defer pidfd.Close()
	if !c.Run.Init.Alive() {
		return true, nil
	}
	return linux.PidfdWait(pidfd, milliseconds)
}
