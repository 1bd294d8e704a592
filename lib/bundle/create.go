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

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// ProcessFlags are the options of the OCI commands that start a process.
type ProcessFlags struct {
	ConsoleSocket string `help:"Send the terminal to this socket" placeholder:"PATH"`
	PidFile       string `help:"Write the process id to this file" placeholder:"FILE"`
	PreserveFds   int    `name:"preserve-fds" help:"Pass N descriptors on to the program, from 3 on" placeholder:"N"`
}

// CreateFlags are the options of `create`, and of `run` with an id.
type CreateFlags struct {
	ProcessFlags
	NoPivot      bool `help:"Move the root instead of pivot_root(2), for a host that runs from its initramfs"`
	NoNewKeyring bool `help:"Keep the caller's session keyring"`
}

// errConsole refuses a terminal without a console socket, or the reverse, for a program that we do not stay with.
var errConsole = errors.New("--console-socket and a terminal need each other: no process stays to hold the terminal")

// RunOptions are what `run` has beyond [CreateFlags].
type RunOptions struct {
	Detach  bool // return when the program runs
	Keep    bool // do not delete the container when its program ends
	Streams spawn.Streams
}

// launchOptions are those of one start of a container.
type launchOptions struct {
	CreateFlags
	orphan bool     // we end before the program
	wait   bool     // the program waits for `start`
	screen *os.File // see [spawn.Launch]
}

// Create makes the container of a bundle. Its first process waits for [Container.Start].
func (bs *Store) Create(ctx context.Context, id, bundle string, f CreateFlags) error {
	b, err := bs.read(id, bundle)
	if err != nil {
		return err
	}
	if b.spec.Process.Terminal != (f.ConsoleSocket != "") {
		return errConsole
	}
	_, err = b.create(ctx, launchOptions{CreateFlags: f, orphan: true, wait: true})
	return err
}

// create makes the container. If it fails, nothing is left.
func (b *Container) create(ctx context.Context, o launchOptions) (*spawn.Child, error) {
	if _, own := b.spec.Namespace(specs.MountNamespace); !own {
		var err error
		if b.Mount, err = linux.MountID(b.root()); err != nil {
			return nil, err
		}
	}
	if err := b.claim(); err != nil {
		return nil, err
	}
	c, err := b.launch(ctx, o)
	if err != nil {
		return nil, errors.Join(err, b.destroy(interrupt.Undoing(ctx)))
	}
	return c, nil
}

// launch starts the first process.
func (b *Container) launch(ctx context.Context, o launchOptions) (*spawn.Child, error) {
	group, err := cgroup.Apply(b.spec, "")
	if err != nil {
		return nil, err
	}
	handed := handedSockets()
	l, err := spawn.NewLaunch(withSockets(b.spec, handed), b.Path, group)
	if err != nil {
		return nil, err
	}
	if !b.spec.Process.Terminal {
		l.Stdio = spawn.Inherited
	}
	l.Screen, l.KeptFDs = o.screen, o.PreserveFds+handed
	l.Orphan, l.NoPivot, l.KeepKeyring = o.orphan, o.NoPivot, o.NoNewKeyring
	if o.wait {
		if l.StartFIFO, err = b.makeStartFIFO(); err != nil {
			return nil, err
		}
	}
	l.SendConsole = o.sendConsole()
	l.HookState = b.hookState
	l.Created = b.note
	l.Ready = func(pid int) error { return writePidFile(o.PidFile, pid) }
	return l.Start(ctx)
}

// makeStartFIFO makes the FIFO that the first process reads a byte from. It is open for writing too, so that the read
// does not see an end.
func (b *Container) makeStartFIFO() (*os.File, error) {
	path := filepath.Join(b.dir, startFile)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}

// sendConsole returns how the terminal is handed over; nil if it is not.
func (f ProcessFlags) sendConsole() func(master *os.File) error {
	if f.ConsoleSocket == "" {
		return nil
	}
	return func(master *os.File) error { return linux.SendToSocket(f.ConsoleSocket, "/dev/ptmx", master) }
}

// handedSockets returns how many sockets, from descriptor 3 on, are for the program: a socket-activated engine passes on
// those that systemd gave it (sd_listen_fds(3)).
func handedSockets() int {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return n
}

// withSockets returns a document whose program finds n sockets in its environment. Later programs (exec) do not get them.
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

// note records the first process.
func (b *Container) note(pid int) error {
	var err error
	if b.Init, err = state.FindProcess(pid); err != nil {
		return err
	}
	first, err := json.Marshal(b.Init)
	if err != nil {
		return err
	}
	if err := b.link(firstLink, string(first)); err != nil {
		return err
	}
	return b.save()
}

// runHooks runs hooks in the runtime namespace. The container goes on if they fail (runtime-spec, runtime.md "Lifecycle",
// steps 9 and 13): errors are only warnings.
func (b *Container) runHooks(ctx context.Context, kind string, hooks []specs.Hook, status specs.ContainerState) {
	if len(hooks) == 0 {
		return
	}
	text, err := b.hookState(status, b.Init.Number())
	if err == nil {
		err = spec.RunHooks(ctx, hooks, text)
	}
	if err != nil {
		b.warn("%s %v", kind, err)
	}
}

// poststart runs the poststart hooks.
func (b *Container) poststart(ctx context.Context) {
	if b.spec.Hooks != nil {
		b.runHooks(ctx, "poststart", b.spec.Hooks.Poststart, specs.StateRunning)
	}
}

func writePidFile(path string, pid int) error {
	if path == "" {
		return nil
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)) // a reader of path sees the whole file
	_ = os.Remove(temp)
	// Other users may write to the directory, and could have put a link there.
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

// Run creates and starts a container. In the foreground it returns the program's exit code, and deletes the container
// unless it is kept; detached, 0 when the program runs.
func (bs *Store) Run(ctx context.Context, id, bundle string, f CreateFlags, o RunOptions) (int, error) {
	b, err := bs.read(id, bundle)
	if err != nil {
		return 0, err
	}
	if o.Detach && b.spec.Process.Terminal != (f.ConsoleSocket != "") {
		return 0, errConsole
	}
	c, err := b.create(ctx, launchOptions{CreateFlags: f, orphan: o.Detach, screen: o.Streams.Screen})
	if err != nil {
		return 0, err
	}
	b.poststart(ctx)
	if o.Detach {
		return 0, nil
	}
	code, err := c.Attend(o.Streams, nil)
	if !o.Keep {
		err = errors.Join(err, b.destroy(interrupt.Undoing(ctx)))
	}
	return code, err
}

// destroy removes all of the container: its processes, its mounts, its control group and its state directory. The poststop
// hooks remove what others made for it.
func (b *Container) destroy(ctx context.Context) error {
	if b.life() != state.Dead {
		if err := b.Kill(ctx, syscall.SIGKILL); err != nil && !errors.Is(err, spawn.ErrNotRunning) {
			return err
		}
		// A process that does not end in time keeps its group, which then cannot be removed.
		_, _ = b.handle().Wait(int(startTime.Milliseconds()))
	}
	err := errors.Join(b.unmount(), b.removeGroup(ctx))
	if rerr := b.forget(); err == nil {
		err = rerr
	}
	if b.spec.Hooks != nil {
		b.Init.PID = 0
		b.runHooks(ctx, "poststop", b.spec.Hooks.Poststop, specs.StateStopped)
	}
	return err
}

// unmount removes what a container without a mount namespace has mounted in ours: all that is on top of the mount that
// its root was in before.
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

// removeGroup removes the control group. A container without a pid namespace may leave processes in it: they are killed.
func (b *Container) removeGroup(ctx context.Context) error {
	group, err := b.group()
	if err != nil {
		return err
	}
	if !group.Exists() {
		return nil
	}
	_ = group.Thaw(ctx) // on v1, a frozen process does not die
	if _, own := b.spec.Namespace(specs.PIDNamespace); !own {
		if err := group.Kill(ctx); err != nil {
			return err
		}
	}
	return group.Remove(ctx)
}
