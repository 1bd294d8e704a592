package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// ProcessFlags say how the process of an OCI command is connected with its caller.
type ProcessFlags struct {
	ConsoleSocket string `help:"Send the terminal to this socket" placeholder:"PATH"`
	PidFile       string `help:"Write the process id to this file" placeholder:"FILE"`
	PreserveFds   int    `name:"preserve-fds" help:"Give the program so many more descriptors, from 3 on" placeholder:"N"`
}

// CreateFlags are the options of create, and of run with an id.
type CreateFlags struct {
	ProcessFlags
	NoPivot      bool `help:"Move the root in place of pivot_root(2), for a host that runs from its initramfs"`
	NoNewKeyring bool `help:"Keep the caller's session keyring"`
}

// Create makes the container of a bundle, up to the point where its program is all that is missing.
func (bs *Store) Create(ctx context.Context, id, bundle string, f CreateFlags) error {
	b, err := bs.read(id, bundle)
	if err != nil {
		return err
	}
	if b.spec.Process.Terminal != (f.ConsoleSocket != "") {
		return errors.New("--console-socket and process.terminal go together: nobody stays to hold the terminal")
	}
	_, err = b.create(ctx, f, true, true, linux.WindowSize{})
	return err
}

// create makes the container, for which nobody stays if it is to be an orphan; with wait its program waits until it is
// started. Where it fails, nothing is left.
func (b *Container) create(ctx context.Context, f CreateFlags, orphan, wait bool, size linux.WindowSize) (*spawn.Child, error) {
	if !spawn.HasNamespace(b.spec.Linux, specs.MountNamespace) {
		var err error
		if b.Mount, err = linux.MountID(b.root()); err != nil {
			return nil, err
		}
	}
	if err := b.claim(); err != nil {
		return nil, err
	}
	c, err := b.fork(ctx, f, orphan, wait, size)
	if err == nil {
		return c, nil
	}
	err = spawn.Interrupted(ctx, err)
	return nil, errors.Join(err, b.destroy(interrupt.Undoing(ctx)))
}

func (b *Container) fork(ctx context.Context, f CreateFlags, orphan, wait bool, size linux.WindowSize) (*spawn.Child, error) {
	handed := handedSockets()
	l, err := spawn.NewLaunch(withSockets(b.spec, handed), b.Path, size, "")
	if err != nil {
		return nil, err
	}
	l.Stdio, l.Inherit, l.KeptFDs = &spawn.Stdio{}, !b.spec.Process.Terminal, f.PreserveFds+handed
	l.Orphan = orphan
	l.NoPivot, l.KeepKeyring = f.NoPivot, f.NoNewKeyring
	if wait {
		path := filepath.Join(b.dir, startFile)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			return nil, fmt.Errorf("make %s: %w", path, err)
		}
		// For both, so that it never ends: the child waits for a byte.
		if l.StartFIFO, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
			return nil, err
		}
	}
	if f.ConsoleSocket != "" {
		l.SendConsole = func(master *os.File) error { return linux.SendToSocket(f.ConsoleSocket, "/dev/ptmx", master) }
	}
	noted := false
	l.Sync = func(m spawn.SyncPoint, pid int) error {
		if err := spawn.Cancelled(ctx); err != nil {
			return err
		}
		if !noted {
			noted = true
			if err := b.note(ctx, pid); err != nil {
				return err
			}
		}
		switch m {
		case spawn.BeforePivot, spawn.BeforeProgram:
			return spawn.RunContainerHooks(ctx, b.spec, m, pid, b.hookState)
		case spawn.Ready:
			return writePidFile(f.PidFile, pid)
		}
		return nil
	}
	return l.Start()
}

// handedSockets returns how many sockets, from descriptor 3 on, whoever started us hands to the program: an engine that
// systemd has started by its socket passes them on (sd_listen_fds(3)).
func handedSockets() int {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return n
}

// withSockets returns a document whose program is told of n sockets. The program of a later exec has none of them.
func withSockets(s *spec.Spec, n int) *spec.Spec {
	if n == 0 {
		return s
	}
	told, proc := *s, *s.Process
	proc.Env = append(slices.Clip(proc.Env), fmt.Sprintf("LISTEN_FDS=%d", n), "LISTEN_PID=1")
	if names := os.Getenv("LISTEN_FDNAMES"); names != "" {
		proc.Env = append(proc.Env, "LISTEN_FDNAMES="+names)
	}
	told.Process = &proc
	return &told
}

// note writes down the first process and runs the hooks of the outside.
func (b *Container) note(ctx context.Context, pid int) error {
	var err error
	if b.Init, err = state.FindProcess(pid); err != nil {
		return err
	}
	first, err := json.Marshal(b.Init)
	if err == nil {
		err = b.link(firstLink, string(first))
	}
	if err == nil {
		err = b.save()
	}
	if err != nil {
		return err
	}
	return b.runHooks(ctx, spawn.RuntimeHooks(b.spec), specs.StateCreating, true)
}

// runHooks runs hooks in our namespaces. With stop the first that fails ends it.
func (b *Container) runHooks(ctx context.Context, hooks []specs.Hook, status specs.ContainerState, stop bool) error {
	var errs []error
	for _, hook := range hooks {
		text, err := b.hookState(status, b.Init.PID)
		if err == nil {
			err = spec.RunHook(ctx, hook, text)
		}
		if errs = append(errs, err); stop && err != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func writePidFile(path string, pid int) error {
	if path == "" {
		return nil
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)) // whoever waits for it finds it whole
	_ = os.Remove(temp)
	// Its directory may be others', too, who could have put a link there.
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strconv.Itoa(pid))
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// Run is create and start in one. In the foreground it returns the program's exit code and deletes the container,
// unless it is kept; detached, 0 when the program runs.
func (bs *Store) Run(ctx context.Context, id, bundle string, f CreateFlags, detach, keep bool, streams spawn.Streams) (int, error) {
	b, err := bs.read(id, bundle)
	if err != nil {
		return 0, err
	}
	if detach && b.spec.Process.Terminal != (f.ConsoleSocket != "") {
		return 0, errors.New("--console-socket and process.terminal go together: nobody stays to hold the terminal")
	}
	c, err := b.create(ctx, f, detach, false, spawn.SizeOf(streams.Screen))
	if err != nil {
		return 0, err
	}
	err = b.runHooks(ctx, poststart(b.spec), specs.StateRunning, false)
	if err != nil {
		fmt.Fprintln(os.Stderr, "md-spawn: warning: poststart", spawn.OneLine(err))
	}
	if detach {
		return 0, nil
	}
	code, err := c.AttendInherited(streams, f.ConsoleSocket != "")
	if !keep {
		err = errors.Join(err, b.destroy(interrupt.Undoing(ctx)))
	}
	return code, err
}

func poststart(s *spec.Spec) []specs.Hook {
	if s.Hooks == nil {
		return nil
	}
	return s.Hooks.Poststart
}

// destroy takes all of the container away: its processes, its control group, what is written about it, and by its
// hooks what others made for it.
func (b *Container) destroy(ctx context.Context) error {
	if b.life() != state.Dead {
		if err := b.Kill(syscall.SIGKILL, false); err != nil && !errors.Is(err, spawn.ErrNotRunning) {
			return err
		}
	}
	err := errors.Join(b.unmount(), b.removeGroup(ctx))
	if rerr := b.forget(); err == nil {
		err = rerr
	}
	if b.spec.Hooks != nil {
		b.Init.PID = 0
		// runtime-spec, runtime.md "Lifecycle", step 13: the container is gone, whatever comes of them.
		if failed := b.runHooks(ctx, b.spec.Hooks.Poststop, specs.StateStopped, false); failed != nil {
			fmt.Fprintln(os.Stderr, "md-spawn: warning: poststop", spawn.OneLine(failed))
		}
	}
	return err
}

// unmount takes away what a container without a mount namespace has mounted in ours: all that is on top of what its
// root lay in before.
func (b *Container) unmount() error {
	if b.Mount == 0 {
		return nil
	}
	id, err := linux.MountID(b.root())
	if err == nil && id != b.Mount {
		err = linux.Unmount(b.root(), linux.MntDetach|linux.UmountNofollow)
	}
	return err
}

// removeGroup takes the control group away, with what is still in it: a container without a pid namespace of its own
// may leave processes behind.
func (b *Container) removeGroup(ctx context.Context) error {
	group, err := b.group()
	if err != nil {
		return err
	}
	if !group.Exists() {
		return nil
	}
	_ = group.Thaw(ctx) // what is frozen cannot die on v1
	if !spawn.HasNamespace(b.spec.Linux, specs.PIDNamespace) {
		if err := group.Kill(ctx); err != nil {
			return err
		}
	}
	return group.Remove(ctx)
}
