package spawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// Errors about the state of a container.
var (
	ErrNotRunning = errors.New("container is not running")
	ErrPaused     = errors.New("container is paused")
	ErrNotPaused  = errors.New("container is not paused")
)

// Process is the first process of a container, as the package that owns the container has recorded it.
type Process interface {
	// Open returns a pidfd. The error wraps [os.ErrProcessDone] if the process has ended; any other error says that it
	// cannot be reached from this pid namespace.
	Open() (*os.File, error)
	// Number returns the pid in this pid namespace, 0 for none.
	Number() int
}

// Container is a handle on a container that was started: on its first process, its document and its control group.
type Container struct {
	ID    string
	Spec  *spec.Spec
	Init  Process     // nil if it is not known
	Ended func() bool // reports that the first process has ended: asked where no pidfd can be opened
}

// open returns a pidfd of the first process, so that nothing is done to another process under the same pid.
func (c *Container) open() (*os.File, error) {
	if c.Init == nil {
		return nil, ErrNotRunning
	}
	pidfd, err := c.Init.Open()
	if errors.Is(err, os.ErrProcessDone) {
		err = ErrNotRunning
	}
	return pidfd, err
}

// unreachable reports whether the container may run although [Container.open] failed with err.
func (c *Container) unreachable(err error) bool {
	return !errors.Is(err, ErrNotRunning) || c.Init == nil && !c.Ended()
}

// group opens the control group.
func (c *Container) group() (*cgroup.Group, error) {
	group, err := openGroup(c.Spec)
	if err == nil && group == nil {
		err = errors.New("container has no control group of its own")
	}
	return group, err
}

// openGroup opens the control group of a document; nil if it names none.
func openGroup(s *spec.Spec) (*cgroup.Group, error) {
	path := s.LinuxPart().CgroupsPath
	if path == "" {
		return nil, nil
	}
	return cgroup.Open(path)
}

// Signal sends a signal to the first process. SIGKILL also thaws a paused container, and kills all processes of the
// control group if the first one cannot be reached.
func (c *Container) Signal(ctx context.Context, sig syscall.Signal) error {
	pidfd, err := c.open()
	if err != nil {
		if sig == syscall.SIGKILL && c.unreachable(err) {
			return c.killGroup(ctx, err)
		}
		return err
	}
	defer pidfd.Close()
	linux.Trace("kill", "-"+strconv.Itoa(int(sig)), strconv.Itoa(c.Init.Number()))
	err = linux.PidfdSignal(pidfd, sig)
	switch {
	case errors.Is(err, syscall.ESRCH):
		return ErrNotRunning
	case err != nil:
		return fmt.Errorf("send %s to container %s: %w", linux.SignalName(sig), c.ID, err)
	case sig == syscall.SIGKILL:
		return c.Wake(ctx) // on v1, a frozen process does not die
	}
	return nil
}

// SignalAll sends a signal to every process of the control group.
func (c *Container) SignalAll(sig syscall.Signal) error {
	group, err := c.group()
	if err != nil {
		return err
	}
	pids, err := group.Procs()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("send %s to process %d: %w", linux.SignalName(sig), pid, err)
		}
	}
	return nil
}

// killGroup kills all processes of the control group. It returns why, the reason that the first process could not be
// signalled, if processes remain.
func (c *Container) killGroup(ctx context.Context, why error) error {
	group, err := c.group()
	if err != nil {
		return err
	}
	if err := group.Kill(ctx); err != nil && !errors.Is(err, cgroup.ErrForeign) {
		return err
	}
	if linux.CgroupOccupancy(group.Path).Occupied {
		return why
	}
	return nil
}

// Wait waits until the first process has ended, for at most the given time in milliseconds (-1: without limit), and
// reports whether it has.
func (c *Container) Wait(milliseconds int) (bool, error) {
	pidfd, err := c.open()
	if err == nil {
		defer pidfd.Close()
		return linux.PidfdWait(pidfd, milliseconds)
	}
	if !c.unreachable(err) {
		return true, nil
	}
	for end := time.Now().Add(time.Duration(milliseconds) * time.Millisecond); ; time.Sleep(10 * time.Millisecond) {
		if c.Ended() {
			return true, nil
		}
		if milliseconds >= 0 && time.Now().After(end) {
			return false, nil
		}
	}
}

// Paused reports whether the container's processes are frozen; false if that cannot be told.
func (c *Container) Paused() bool {
	group, err := c.group()
	if err != nil {
		return false
	}
	frozen, err := group.Frozen()
	return err == nil && frozen
}

// freezeTime bounds a freeze: a process in an uninterruptible system call stops only after the call.
const freezeTime = 10 * time.Second

// Freeze stops all processes of the container, or none.
func (c *Container) Freeze(ctx context.Context) error {
	group, err := c.group()
	if err != nil {
		return err
	}
	if frozen, err := group.Frozen(); err == nil && frozen {
		return ErrPaused
	}
	limited, cancel := context.WithTimeout(ctx, freezeTime)
	defer cancel()
	if err := group.Freeze(limited); err != nil {
		return errors.Join(err, group.Thaw(interrupt.Undoing(ctx)))
	}
	return nil
}

// Thaw lets the processes of a paused container go on.
func (c *Container) Thaw(ctx context.Context) error {
	group, err := c.group()
	if err != nil {
		return err
	}
	if frozen, err := group.Frozen(); err == nil && !frozen {
		return ErrNotPaused
	}
	return group.Thaw(ctx)
}

// Wake thaws a container that was sent a signal, if it is paused: a frozen process does not act on it.
func (c *Container) Wake(ctx context.Context) error {
	if !c.Paused() {
		return nil
	}
	if err := c.Thaw(ctx); err != nil && !errors.Is(err, ErrNotPaused) {
		return err
	}
	return nil
}

// ExecOptions say how a program is run in a container.
type ExecOptions struct {
	Detach       bool // return when the program runs; its next parent reaps it
	IgnorePaused bool // enter a paused container too: the program starts when it is thawed
	Stdio        Stdio
	Streams      Streams
	KeptFDs      int                         // see [Launch]
	SendConsole  func(master *os.File) error // see [Launch]
	Ready        func(pid int) error         // see [Launch]
}

// Exec runs a program in the container's namespaces and control group, and returns its exit code; detached, 0 when the
// program runs.
func (c *Container) Exec(ctx context.Context, proc *specs.Process, o ExecOptions) (int, error) {
	pidfd, err := c.open()
	if err != nil {
		return 0, err
	}
	defer pidfd.Close()
	if err := checkProcess(proc); err != nil {
		return 0, err
	}
	group, err := openGroup(c.Spec)
	if err != nil {
		return 0, err
	}
	if group != nil && !o.IgnorePaused {
		if frozen, err := group.Frozen(); err == nil && frozen {
			return 0, ErrPaused
		}
	}
	child, err := c.enter(ctx, proc, pidfd, group, o)
	if err != nil {
		return 0, unlessEnded(err, pidfd)
	}
	if o.Detach {
		return 0, nil
	}
	return child.Attend(o.Streams, nil)
}

func (c *Container) enter(ctx context.Context, proc *specs.Process, pidfd *os.File, group *cgroup.Group, o ExecOptions) (*Child, error) {
	l, err := enter(c.Spec, c.Init.Number(), pidfd, proc, group)
	if err != nil {
		return nil, err
	}
	if !proc.Terminal {
		l.Stdio = o.Stdio
	}
	l.Screen, l.KeptFDs, l.SendConsole, l.Ready = o.Streams.Screen, o.KeptFDs, o.SendConsole, o.Ready
	l.Die, l.Orphan = !o.Detach, o.Detach
	return l.start(ctx)
}

// unlessEnded returns [ErrNotRunning] in place of err if the container ended while a program entered it. The end of a pid
// namespace kills the processes in it, makes fork(2) fail with ENOMEM (pid_namespaces(7)), and removes its files in /proc
// and its control groups.
func unlessEnded(err error, pidfd *os.File) error {
	const atOnce, soon = 0, 1000 // milliseconds
	wait := atOnce
	for _, hangup := range []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ESRCH, syscall.ENODEV, syscall.ENOMEM} {
		if errors.Is(err, hangup) {
			wait = soon
		}
	}
	if wait == atOnce && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if ended, _ := linux.PidfdWait(pidfd, wait); ended {
		return ErrNotRunning
	}
	return err
}
