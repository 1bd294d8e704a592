package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// startTime bounds how long a child may take from the word to the program.
const startTime = 10 * time.Second

// Start lets a created container become its program.
func (b *Container) Start(ctx context.Context) error {
	path := filepath.Join(b.dir, startFile)
	fifo, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) || b.Status() != specs.StateCreated {
		return fmt.Errorf("cannot start a container that is %s", b.Status())
	}
	if err != nil {
		return err
	}
	defer fifo.Close()
	if h := b.spec.Hooks; h != nil {
		text, err := b.hookState(specs.StateCreated, b.Init.PID)
		if err == nil {
			err = spawn.RunInside(ctx, b.spec, "startContainer", h.StartContainer, text, b.Init.Number())
		}
		if err != nil { // runtime-spec, runtime.md "Lifecycle", step 7: stop it
			return errors.Join(err, b.Kill(syscall.SIGKILL, false))
		}
	}
	if err := os.Remove(path); err != nil { // who takes it away starts it: there is no second time
		return fmt.Errorf("cannot start a container that was started already: %w", err)
	}
	if _, err := fifo.Write([]byte{1}); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := linux.AwaitNoReader(fifo, startTime); err != nil {
		return err
	}
	if err := b.runHooks(ctx, poststart(b.spec), specs.StateRunning, false); err != nil {
		fmt.Fprintln(os.Stderr, "md-spawn: warning: poststart", spawn.OneLine(err))
	}
	return nil
}

// Kill sends a signal to the first process, or with all to every process of the container.
func (b *Container) Kill(sig syscall.Signal, all bool) error {
	if all {
		return b.killAll(sig)
	}
	pidfd, err := spawn.OpenInit(b.Init)
	if errors.Is(err, state.ErrElsewhere) && sig == syscall.SIGKILL {
		return spawn.KillGroup(b.spec.Linux.CgroupsPath, err)
	}
	if err != nil {
		return err
	}
	defer pidfd.Close()
	err = linux.PidfdSignal(pidfd, sig)
	if errors.Is(err, syscall.ESRCH) {
		return spawn.ErrNotRunning
	}
	if err != nil || sig != syscall.SIGKILL {
		return err
	}
	if group, err := b.group(); err == nil {
		_ = group.Thaw(context.Background()) // what is frozen cannot die on v1
	}
	return nil
}

func (b *Container) killAll(sig syscall.Signal) error {
	group, err := b.group()
	if err != nil {
		return err
	}
	pids, err := group.Procs()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

// Delete takes a container away that has stopped, or with force any.
func (b *Container) Delete(ctx context.Context, force bool) error {
	switch status := b.Status(); {
	case status == specs.StateStopped || status == specs.StateCreating || force:
	default:
		return fmt.Errorf("cannot delete a container that is %s: kill it first, or use --force", status)
	}
	if b.life() != state.Dead {
		if err := b.Kill(syscall.SIGKILL, false); err != nil && !errors.Is(err, spawn.ErrNotRunning) {
			return err
		}
		b.settle(startTime)
	}
	return b.destroy(ctx)
}

// settle waits until the first process has ended.
func (b *Container) settle(limit time.Duration) {
	if pidfd, err := spawn.OpenInit(b.Init); err == nil {
		_, _ = linux.PidfdWait(pidfd, int(limit.Milliseconds()))
		pidfd.Close()
	}
}

// Freeze stops all processes of the container, or lets them go on.
func (b *Container) Freeze(ctx context.Context, frozen bool) error {
	group, err := b.group()
	if err != nil {
		return err
	}
	if status := b.Status(); frozen && status != specs.StateRunning || !frozen && status != statusPaused {
		return fmt.Errorf("the container is %s", status)
	}
	if frozen {
		return group.Freeze(ctx)
	}
	return group.Thaw(ctx)
}

// Processes returns the pids of the container's processes.
func (b *Container) Processes() ([]int, error) {
	group, err := b.group()
	if err != nil {
		return nil, err
	}
	return group.Procs()
}

// Stats returns what the container uses.
func (b *Container) Stats() (cgroup.Stats, error) {
	group, err := b.group()
	if err != nil {
		return cgroup.Stats{}, err
	}
	return group.Stats()
}

// Update changes the limits of a container; those that r does not hold stay, and so does which devices there are: an
// engine that hands on all of the document means its limits, and for a moment nothing would be allowed.
func (b *Container) Update(r *specs.LinuxResources) error {
	if status := b.Status(); status == specs.StateStopped {
		return fmt.Errorf("the container is %s", status)
	}
	group, err := b.group()
	if err != nil {
		return err
	}
	limits := *r
	limits.Devices = nil
	return group.Set(&limits)
}

// ExecFlags are the options of exec that only OCI's command line has.
type ExecFlags struct {
	ProcessFlags
	Process      string `short:"p" help:"Read the process, as in config.json, from this file" placeholder:"FILE"`
	IgnorePaused bool   `help:"Do not refuse where the container is paused"`
}

// Exec runs another program in the container. It returns its exit code, or detached 0 when it runs.
func (b *Container) Exec(ctx context.Context, proc *specs.Process, f ExecFlags, detach bool, streams spawn.Streams) (int, error) {
	switch status := b.Status(); {
	case status == specs.StateStopped || status == specs.StateCreating:
		return 0, spawn.ErrNotRunning
	case status == statusPaused && !f.IgnorePaused:
		return 0, errors.New("it is paused: resume it first, or use --ignore-paused")
	}
	if detach && proc.Terminal != (f.ConsoleSocket != "") {
		return 0, errors.New("--console-socket and a terminal go together: nobody stays to hold the terminal")
	}
	pidfd, err := spawn.OpenInit(b.Init)
	if err != nil {
		return 0, err
	}
	defer pidfd.Close()
	s := *b.spec
	s.Annotations = nil
	s.Annotate(spec.AnnotationID, b.ID)
	if err := spawn.CheckProcess(proc); err != nil {
		return 0, err
	}
	l, err := spawn.Enter(&s, b.Init.Number(), proc, pidfd, spawn.SizeOf(streams.Screen))
	if err != nil {
		return 0, err
	}
	l.Stdio, l.Inherit, l.KeptFDs = &spawn.Stdio{}, !proc.Terminal, f.PreserveFds
	l.Die, l.Orphan = !detach, detach
	if f.ConsoleSocket != "" {
		l.SendConsole = func(master *os.File) error { return linux.SendToSocket(f.ConsoleSocket, "/dev/ptmx", master) }
	}
	l.Sync = func(_ spawn.SyncPoint, pid int) error {
		if err := spawn.Cancelled(ctx); err != nil {
			return err
		}
		return writePidFile(f.PidFile, pid)
	}
	c, err := l.Start()
	if err != nil || detach {
		return 0, err
	}
	return c.AttendInherited(streams, f.ConsoleSocket != "")
}

// Spec returns the document of the container.
func (b *Container) Spec() *spec.Spec { return b.spec }

// PID returns the id of the first process.
func (b *Container) PID() int { return b.Init.Number() }
