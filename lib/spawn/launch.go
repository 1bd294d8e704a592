package spawn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// stdio are the streams that a program gets: descriptors of its own, never the caller's.
type stdio struct{ in, out, err *os.File }

func (s *stdio) close() {
	for _, f := range []*os.File{s.in, s.out, s.err} {
		if f != nil {
			f.Close()
		}
	}
}

// launch says how an init is started.
type launch struct {
	plan   plan
	clone  int                 // new namespaces, clone(2) flags
	pidNS  *os.File            // the pid namespace that is joined: a descriptor of it, or nil
	pidfd  *os.File            // handed to the init, for exec
	stdio  *stdio              // closed by start
	before func(pid int) error // runs when the process is there and before it gets its plan
}

// child is a started program.
type child struct {
	pid     int
	console *os.File      // master end of the terminal, nil where there is none
	ended   chan struct{} // closed when the process has ended
	status  syscall.WaitStatus
}

// wait waits for the end of the program and returns its exit code.
func (c *child) wait() int {
	<-c.ended
	return exitCode(c.status)
}

// start starts the init and waits until the program runs, or returns why it does not: an [*Error]
// where the init said so. The process is then gone.
func (l launch) start() (*child, error) {
	defer l.stdio.close()
	ours, theirs, err := linux.SocketPair()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	defer theirs.Close()
	path, err := spec.Sibling("md-spawn")
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: path, Args: []string{"md-spawn", InitArg}, Env: []string{"GOMAXPROCS=1"}, // it does one thing at a time
		ExtraFiles:  []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: uintptr(l.clone)},
	}
	birthplace, err := l.birthplace()
	if err != nil {
		return nil, err
	}
	if birthplace != nil {
		defer birthplace.Close()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(birthplace.Fd())
	}
	if l.pidfd != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, l.pidfd)
	}
	// A nil *os.File in the interface would not be nil.
	if s := l.stdio; s.in != nil {
		cmd.Stdin = s.in
	}
	if s := l.stdio; s.out != nil {
		cmd.Stdout, cmd.Stderr = s.out, s.err
	}
	c := &child{ended: make(chan struct{})}
	started := make(chan error)
	go l.keep(cmd, c, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the init: %w", err)
	}
	theirs.Close()
	l.stdio.close()
	if err := l.instruct(c, ours); err != nil {
		_ = cmd.Process.Kill()
		<-c.ended
		if c.console != nil {
			c.console.Close()
		}
		return nil, err
	}
	return c, nil
}

// birthplace opens the v2 control group, nil where there is none: a process that is born there (clone3(2),
// CLONE_INTO_CGROUP) need not be moved, which takes the kernel ten milliseconds.
func (l launch) birthplace() (*os.File, error) {
	if l.plan.Group == "" {
		return nil, nil
	}
	group, err := cgroup.Open(l.plan.Group)
	if err != nil {
		return nil, err
	}
	return group.Birthplace()
}

// keep starts the process and waits for it on a thread of its own: the thread may be in the pid
// namespace of a container, and its end would be the parent's death to the child (prctl(2)). The
// goroutine stays locked to it, so that it dies with it.
func (l launch) keep(cmd *exec.Cmd, c *child, started chan<- error) {
	runtime.LockOSThread()
	if l.pidNS != nil {
		if err := linux.Setns(int(l.pidNS.Fd()), linux.NewPID); err != nil {
			started <- err
			return
		}
	}
	err := cmd.Start()
	if err == nil {
		c.pid = cmd.Process.Pid
	}
	started <- err
	if err != nil {
		return
	}
	_ = cmd.Wait() // the status says it all
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		c.status = s
	}
	close(c.ended)
}

// instruct hands the plan over and listens until the program runs.
func (l launch) instruct(c *child, socket *os.File) error {
	if l.before != nil {
		if err := l.before(c.pid); err != nil {
			return err
		}
	}
	l.plan.Trace = linux.Tracing()
	data, err := json.Marshal(&l.plan)
	if err != nil {
		return fmt.Errorf("encode the plan: %w", err)
	}
	if _, err := socket.Write(data); err != nil {
		return fmt.Errorf("hand over the plan: %w", err)
	}
	if err := linux.ShutdownWrite(socket); err != nil {
		return err
	}
	c.console, err = listen(socket)
	if err != nil {
		return err
	}
	// The socket also closes when the init dies without a word: killed from outside.
	select {
	case <-c.ended:
		if c.status.Signaled() && c.status.Signal() == syscall.SIGKILL {
			return nil // or the program ran and was killed at once: its code tells
		}
	default:
	}
	return nil
}

// signal sends a signal to the program; one that has ended gets none.
func (c *child) signal(sig syscall.Signal) {
	select {
	case <-c.ended:
	default:
		_ = syscall.Kill(c.pid, sig) // not yet reaped: the pid is still its own
	}
}

// interrupted says so where the init was ended by the Ctrl-C that is on its way to us, too: it hangs up in the
// middle of a word.
func interrupted(ctx context.Context, err error) error {
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	select {
	case <-ctx.Done():
		return cancelled(ctx)
	case <-time.After(100 * time.Millisecond):
		return fmt.Errorf("the init was killed: %w", err)
	}
}

// cancelled stops a set-up that the user gave up.
func cancelled(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("stopped by a signal: %w", ctx.Err())
	}
	return nil
}
