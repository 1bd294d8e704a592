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
)

// startTime bounds the time from the start byte to the execution of the program, and from SIGKILL to the end.
const startTime = 10 * time.Second

// Start lets the first process of a created container execute its program.
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
	if err := spawn.RunStartHooks(ctx, b.spec, b.hookState, b.Init.Number()); err != nil {
		// runtime-spec, runtime.md "Lifecycle", step 7: stop the container.
		return errors.Join(err, b.Kill(ctx, syscall.SIGKILL))
	}
	if err := os.Remove(path); err != nil { // of several commands, the one that removes the FIFO starts the container
		return fmt.Errorf("cannot start a container that was started already: %w", err)
	}
	if _, err := fifo.Write([]byte{1}); err != nil {
		return fmt.Errorf("start container %s: %w", b.ID, err)
	}
	if err := linux.AwaitNoReader(fifo, startTime); err != nil {
		return err
	}
	b.poststart(ctx)
	return nil
}

// Kill sends a signal to the first process.
func (b *Container) Kill(ctx context.Context, sig syscall.Signal) error {
	return b.handle().Signal(ctx, sig)
}

// KillAll sends a signal to every process of the container.
func (b *Container) KillAll(sig syscall.Signal) error { return b.handle().SignalAll(sig) }

// Delete removes a container that has stopped, or with force any.
func (b *Container) Delete(ctx context.Context, force bool) error {
	switch status := b.Status(); {
	case status == specs.StateStopped || status == specs.StateCreating || force:
	default:
		return fmt.Errorf("cannot delete a container that is %s: kill it first, or use --force", status)
	}
	return b.destroy(ctx)
}

// Freeze stops all processes of the container.
func (b *Container) Freeze(ctx context.Context) error {
	if status := b.Status(); status != specs.StateRunning {
		return fmt.Errorf("cannot pause a container that is %s", status)
	}
	return b.handle().Freeze(ctx)
}

// Thaw lets the processes of a paused container go on.
func (b *Container) Thaw(ctx context.Context) error {
	if status := b.Status(); status != statusPaused {
		return fmt.Errorf("cannot resume a container that is %s", status)
	}
	return b.handle().Thaw(ctx)
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

// Update changes the limits that r has. The device rules stay: engines that pass all of the document's resources mean its
// limits, and writing the rules again would deny every device for a moment.
func (b *Container) Update(r *specs.LinuxResources) error {
	if status := b.Status(); status == specs.StateStopped {
		return fmt.Errorf("cannot update a container that is %s", status)
	}
	group, err := b.group()
	if err != nil {
		return err
	}
	limits := *r
	limits.Devices = nil
	return group.Set(&limits)
}

// ExecFlags are the options of `exec` that only OCI runtimes have.
type ExecFlags struct {
	ProcessFlags
	Process      string `short:"p" help:"Read the process, as in config.json, from this file" placeholder:"FILE"`
	IgnorePaused bool   `help:"Run the program in a paused container too"`
}

// Exec runs another program in the container. It returns its exit code; detached, 0 when it runs.
func (b *Container) Exec(ctx context.Context, proc *specs.Process, f ExecFlags, detach bool, streams spawn.Streams) (int, error) {
	if status := b.Status(); status == specs.StateStopped || status == specs.StateCreating {
		return 0, spawn.ErrNotRunning
	}
	if detach && proc.Terminal != (f.ConsoleSocket != "") {
		return 0, errConsole
	}
	code, err := b.handle().Exec(ctx, proc, spawn.ExecOptions{
		Detach: detach, IgnorePaused: f.IgnorePaused, Stdio: spawn.Inherited, Streams: streams, KeptFDs: f.PreserveFds,
		SendConsole: f.sendConsole(), Ready: func(pid int) error { return writePidFile(f.PidFile, pid) },
	})
	if errors.Is(err, spawn.ErrPaused) {
		err = fmt.Errorf("%w: resume it first, or use --ignore-paused", err)
	}
	return code, err
}

// Spec returns the document of the container.
func (b *Container) Spec() *spec.Spec { return b.spec }

// PID returns the id of the first process.
func (b *Container) PID() int { return b.Init.Number() }
