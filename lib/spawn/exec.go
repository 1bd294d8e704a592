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
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// ErrNotRunning is wrapped by errors about a container whose program has ended.
var ErrNotRunning = errors.New("is not running")

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
	pidfd, err := open(c.Run.Init)
	if err != nil {
		return 0, err
	}
	defer pidfd.Close()
	if host, err := cgroup.ThisHost(); err == nil && host.Frozen(c.Spec.LinuxPart().CgroupsPath) {
		return 0, ErrPaused // another one would stand still with the others
	}
	p, theirs := &pump{}, &stdio{}
	if !proc.Terminal && !o.Detach {
		if theirs, p, err = pipes(o.Interactive); err != nil {
			return 0, err
		}
	}
	l, err := r.execLaunch(c, proc, pidfd, sizeOf(o.Streams.Screen))
	if err == nil {
		l.stdio, l.die, l.orphan = theirs, !o.Detach, o.Detach
		l.meet = func(meeting, int) error { return cancelled(ctx) }
		var started *child
		if started, err = l.start(); err == nil {
			if o.Detach {
				return 0, nil
			}
			return p.attend(started, o.Streams, nil)
		}
	}
	theirs.close()
	p.close()
	return 0, unlessEnded(err, pidfd)
}

// unlessEnded says so where a container ended while somebody entered it: its end kills whoever is in its pid namespace,
// lets nobody fork into that (ENOMEM, pid_namespaces(7)), and takes its files in /proc and its control groups away.
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

// execLaunch says how a process gets into container c.
func (r *Runtime) execLaunch(c *state.Container, proc *specs.Process, pidfd *os.File, size linux.WindowSize) (*launch, error) {
	return enterLaunch(c.Spec, c.Run.Init.Number(), proc, pidfd, size)
}

// enterLaunch says how a process gets into the namespaces of the process pid and into the control group of its
// document.
func enterLaunch(s *spec.Spec, pid int, proc *specs.Process, pidfd *os.File, size linux.WindowSize) (*launch, error) {
	l := &launch{group: s.LinuxPart().CgroupsPath, die: true}
	if err := checkProcessIDs(proc); err != nil {
		return nil, err
	}
	if err := l.enter(s, pid); err != nil {
		return nil, fmt.Errorf("enter container %s: %w", s.ID(), err)
	}
	entrances, err := l.entrances()
	if err != nil {
		return nil, err
	}
	filter, err := filterOf(s)
	if err != nil {
		return nil, err
	}
	own, err := usersOfProcess(s, pid)
	if err != nil {
		return nil, fmt.Errorf("enter container %s: %w", s.ID(), err)
	}
	if own != nil {
		l.users = append(l.users, own)
	}
	l.compile = func(fds descriptors) (*script, error) {
		fds.pidfd = int(pidfd.Fd())
		p := newProgram(proc, size, fds, own)
		p.filter = filter
		p.die, p.path = l.die, l.path
		x := newScript(p)
		p.begin(x)
		p.joinGroups(x, entrances)
		x.Doing("enter container " + s.ID())
		x.shell("nsenter", "--target", strconv.Itoa(pid), "--all", "--")
		l.joinAll(x, fds)
		if proc.Terminal {
			p.openTerminal(x)
		} else {
			p.openNodesInside(x)
		}
		p.setSchedule(x)
		p.setLimits(x)
		p.enterUsers(x)
		p.become(x)
		return x, x.Err()
	}
	return l, nil
}

// enter opens the pid namespace of process pid where the container has one of its own: it is that of
// children to come, so the parent enters it. The others are for the child to enter ([launch.joinAll]).
func (l *launch) enter(s *spec.Spec, pid int) (err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	for _, ns := range s.LinuxPart().Namespaces {
		if ns.Type != specs.PIDNamespace {
			l.kinds |= namespaceFlags()[ns.Type]
		} else if l.pidNS, err = os.Open(dir + "/ns/pid"); err != nil {
			return errnoOf(err)
		}
	}
	if !ownMounts(s.Linux) {
		if l.root, err = os.OpenFile(dir+"/root", linux.OPath|syscall.O_DIRECTORY, 0); err != nil {
			return errnoOf(err)
		}
	}
	return nil
}

// joinAll enters the namespaces of a running container, and its root.
func (l *launch) joinAll(x *script, fds descriptors) {
	if l.kinds != 0 {
		x.Setns(linux.FD(fds.pidfd), l.kinds)
	}
	if fds.root >= 0 {
		x.ChangeRoot(linux.FD(fds.root))
	}
}

// entrances returns the files of control groups that the child joins by writing 0.
func (l *launch) entrances() ([]string, error) {
	if l.group == "" {
		return nil, nil
	}
	group, err := cgroup.Open(l.group)
	if err != nil {
		return nil, err
	}
	return group.Entrances(), nil
}

// open returns a pidfd of a container's first process.
func open(first state.Process) (*os.File, error) {
	pidfd, err := first.Open()
	if errors.Is(err, os.ErrProcessDone) {
		err = ErrNotRunning
	}
	return pidfd, err
}

// Signal sends a signal to the container's first process. SIGKILL ends all processes of one whose first is not known, or
// is not to be reached, where the control group can do that.
func (r *Runtime) Signal(c *state.Container, sig syscall.Signal) error {
	pidfd, err := open(c.Run.Init)
	if err != nil && c.Running && sig == syscall.SIGKILL && (errors.Is(err, state.ErrElsewhere) || c.Run.Init.PID == 0) {
		return killGroup(c.Spec.LinuxPart().CgroupsPath, err)
	}
	if err != nil {
		return err
	}
	defer pidfd.Close()
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
	pidfd, err := open(c.Run.Init)
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

// killGroup ends all processes of a control group, and says why it could not else be done.
func killGroup(path string, why error) error {
	group, err := cgroup.Open(path)
	if err != nil {
		return err
	}
	if err := group.Kill(context.Background()); err != nil && !errors.Is(err, cgroup.ErrForeign) {
		return err
	}
	if linux.GroupOccupancy(path).Occupied {
		return why
	}
	return nil
}
