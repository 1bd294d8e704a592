package spawn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/seccomp"
	"github.com/weikeit/mydocker/lib/spec"
)

// Launch holds what is needed to start one program in namespaces. [Launch.Start] closes its files.
type Launch struct {
	Stdio     Stdio    // the streams of a program without a terminal
	Screen    *os.File // the terminal that gives the program's terminal its first size; nil for none
	StartFIFO *os.File // the child reads a byte from it before it executes the program; nil to execute at once

	Die         bool // the kernel kills the program when this process ends
	Orphan      bool // this process ends first; the program's next parent reaps it
	Resident    bool // [Child.Become] works
	NoPivot     bool // move the root instead of pivot_root(2), for a host that runs from its initramfs
	KeepKeyring bool // the program keeps our session keyring
	KeptFDs     int  // how many of our descriptors the program inherits, from 3 on

	SendConsole func(master *os.File) error // hands the terminal over; nil to attend to it here
	Created     func(pid int) error         // called when the child exists, before any hook; may be nil
	Ready       func(pid int) error         // called when only execve(2) is left to do; may be nil

	// HookState returns the state that hooks read (runtime-spec, runtime.md "State").
	HookState func(status specs.ContainerState, pid int) ([]byte, error)

	compile func(descriptors) (*plan, error)
	spec    *spec.Spec    // of a new container; nil for a program that enters one
	group   *cgroup.Group // nil for the caller's own
	created bool          // Created was called
	path    string        // see program
	clone   int           // new namespaces: flags of clone(2)
	pidNS   *os.File      // the pid namespace to join; nil for none
	kinds   int           // the other namespaces of a running container to join
	root    *os.File      // that container's root, if it is not the root of its mount namespace
	newTime bool          // the forking thread makes a time namespace
	time    string        // its offsets (time_namespaces(7))
	idMaps  []*idMap      // of the container and of its mounts
	reaper  *os.File      // the small init that stays as PID 1 (--init); nil for none
}

// NewLaunch prepares the start of a document's container. Relative paths of the document start at the bundle. group is
// the container's control group, which exists; nil for none.
func NewLaunch(s *spec.Spec, bundle string, group *cgroup.Group) (*Launch, error) {
	b, err := newBlueprint(s, bundle, group)
	if err != nil {
		return nil, err
	}
	l := &Launch{spec: s, group: group}
	if err := l.sortNamespaces(s); err != nil {
		return nil, err
	}
	if s.Annotation(spec.AnnotationInit) == "true" {
		if l.reaper, err = openReaper(); err != nil {
			return nil, err
		}
	}
	filter, err := filterOf(s)
	if err != nil {
		return nil, err
	}
	own, err := l.openIDMaps(s, b)
	if err != nil {
		return nil, err
	}
	l.compile = func(fds descriptors) (*plan, error) {
		b.program = *newProgram(s.Process, l.Screen, fds, own)
		b.program.filter = filter
		b.program.die, b.program.keyring, b.noPivot = l.Die, l.KeepKeyring, l.NoPivot
		return b.compile()
	}
	return l, nil
}

// newBlueprint collects what the plan of a new container depends on.
func newBlueprint(s *spec.Spec, bundle string, group *cgroup.Group) (*blueprint, error) {
	b := &blueprint{spec: &s.Spec, bundle: bundle, root: s.Root.Path, hasRuntimeHooks: len(runtimeHooks(s)) > 0}
	if !filepath.IsAbs(b.root) {
		b.root = filepath.Join(b.bundle, b.root)
	}
	if p := s.Linux.RootfsPropagation; OwnMounts(s.Linux) && (strings.HasSuffix(p, "shared") || strings.HasSuffix(p, "unbindable")) {
		var err error
		if b.parent, err = linux.MountOf(b.root); err != nil {
			return nil, err
		}
	}
	b.isEmpty = func(path string) bool { return emptyIn(b.root, path) }
	b.isDir = func(path string) (bool, error) {
		info, err := os.Stat(path)
		return err == nil && info.IsDir(), err
	}
	if group != nil {
		b.procsFiles = group.ProcsFiles()
		for _, d := range group.Dirs() {
			b.cgroups = append(b.cgroups, cgroupMount{name: d.Name, source: d.Path})
		}
	}
	return b, nil
}

// emptyIn reports whether a directory beneath the root dir is empty or missing.
func emptyIn(dir, path string) bool {
	root, err := linux.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	file, err := root.Open(path, os.O_RDONLY)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	defer file.Close()
	names, err := file.Readdirnames(1)
	return len(names) == 0 && errors.Is(err, io.EOF)
}

// filterOf compiles the document's seccomp filter, which applies to every program of the container.
func filterOf(s *spec.Spec) (*seccomp.Filter, error) {
	if s.Linux == nil || s.Linux.Seccomp == nil {
		return nil, nil
	}
	return seccomp.Compile(s.Linux.Seccomp)
}

// newProgram returns the program of a document, with what its fields mean in this process.
func newProgram(proc *specs.Process, screen *os.File, fds descriptors, own *idMap) *program {
	p := &program{process: proc, size: sizeOf(screen), held: linux.HeldCapabilities(), fds: fds, users: own}
	if proc.Terminal { // it replaces all three streams
		p.fds.nodes = [3]node{}
	}
	if own != nil {
		p.held = linux.KnownCapabilities() // a process that enters a user namespace has all of them there
	}
	p.files[0], p.files[1] = linux.OpenFilesLimit()
	return p
}

// close closes the files that the child has inherited or does not need.
func (l *Launch) close() {
	for _, u := range l.idMaps {
		u.close()
	}
	for _, f := range []*os.File{l.pidNS, l.root, l.reaper, l.StartFIFO} {
		if f != nil {
			f.Close()
		}
	}
}

// Start forks the child and returns when its program runs. If it fails, the child is gone. If ctx ends first, Start fails.
func (l *Launch) Start(ctx context.Context) (*Child, error) {
	c, err := l.start(ctx)
	if err != nil {
		return nil, interrupted(ctx, err)
	}
	return c, nil
}

func (l *Launch) start(ctx context.Context) (*Child, error) {
	defer l.close()
	ours, theirs, err := linux.SocketPair()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	defer theirs.Close()
	null, err := syscall.Open(os.DevNull, syscall.O_RDWR|syscall.O_CLOEXEC, 0) // an os.File would cost calls of the poller
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: os.DevNull, Err: err}
	}
	defer syscall.Close(null)
	streams, c, err := l.Stdio.open()
	if err != nil {
		return nil, err
	}
	defer closeAll(streams[:])
	s, err := l.compile(l.descriptors(ours, theirs, null, streams))
	if err != nil {
		c.closeStreams()
		return nil, err
	}
	if l.Orphan {
		c.released = make(chan struct{})
	}
	if l.Resident && l.pidNS == nil { // a thread that joined a pid namespace cannot create threads
		c.become = make(chan func())
	}
	started := make(chan error)
	go l.forkAndWait(s, c, started)
	if err := <-started; err != nil {
		c.closeStreams()
		return nil, fmt.Errorf("start the container's first process: %w", err)
	}
	theirs.Close()
	closeAll(streams[:])
	l.close()
	if err := l.followChild(ctx, s, c, ours); err != nil {
		return nil, c.abort(err)
	}
	return c, nil
}

// descriptors returns the numbers of the files that the child gets.
func (l *Launch) descriptors(ours, theirs *os.File, null int, streams [3]*os.File) descriptors {
	fds := descriptors{
		socket: int(theirs.Fd()), spare: int(ours.Fd()), reaper: linux.FDOf(l.reaper), pidfd: -1,
		root: linux.FDOf(l.root), start: linux.FDOf(l.StartFIFO), kept: l.KeptFDs,
		users: make(map[*idMap]int, len(l.idMaps)),
	}
	for _, u := range l.idMaps {
		fds.users[u] = int(u.file.Fd())
	}
	for i, f := range streams {
		if l.Stdio == Inherited {
			fds.stdio[i], fds.nodes[i] = i, nodeOf(i)
			continue
		}
		if f == nil {
			fds.stdio[i], fds.nodes[i] = null, nullNode()
			continue
		}
		fds.stdio[i] = int(f.Fd())
	}
	return fds
}

// forkAndWait forks the child and waits for it on a thread of its own. The thread may be in the pid namespace of a
// container, and its end would kill the child (PR_SET_PDEATHSIG, prctl(2)). The goroutine stays locked to the thread, so
// that the thread ends with it.
func (l *Launch) forkAndWait(s *plan, c *Child, started chan<- error) {
	runtime.LockOSThread()
	err := l.fork(s, c)
	started <- err
	if err != nil {
		return
	}
	if c.released != nil {
		// If we reaped the program, the engine that called us would never get its exit code.
		<-c.released
	}
	if c.become == nil {
		c.reap()
		return
	}
	// Another thread watches the child without reaping it: the program that this process executes needs the exit code.
	over := make(chan struct{})
	go func() {
		linux.AwaitChild(c.PID)
		close(over)
	}()
	select {
	case <-over:
	case do := <-c.become:
		do() // returns if it failed
	}
	c.reap()
}

// fork forks the child in its control group: a child that is born in a v2 group (CLONE_INTO_CGROUP, clone3(2)) need not
// be moved there, which takes the kernel 10 ms.
func (l *Launch) fork(s *plan, c *Child) error {
	var birthplace *os.File
	if l.group != nil {
		var err error
		if birthplace, err = l.group.OpenUnified(); err != nil {
			return err
		}
	}
	if birthplace != nil {
		defer birthplace.Close()
	}
	err := l.join()
	if err != nil {
		return err
	}
	c.PID, err = s.Fork(l.clone, birthplace)
	return err
}

// followChild serves the sync points of the child until its program runs.
func (l *Launch) followChild(ctx context.Context, s *plan, c *Child, socket *os.File) error {
	for _, line := range s.trace {
		slog.Debug(line)
	}
	complete := false
	for {
		r, ok, err := s.ReadReport(socket)
		switch {
		case err != nil:
			return err
		case r.Failed:
			return s.failure(r)
		case !ok && complete:
			return nil // the program runs, or has ended: its exit code tells
		case !ok:
			return fmt.Errorf("the container's first process ended: %w", syscall.EPIPE)
		case r.Console != nil:
			if err := l.takeConsole(c, r.Console); err != nil {
				return err
			}
			continue
		}
		m := s.syncPoints[r.Step]
		complete = m == ready
		if err := l.meet(ctx, m, c.PID); err != nil {
			return err
		}
		if err := linux.ResumeChild(socket); err != nil {
			return err
		}
		if complete && l.StartFIFO != nil {
			return nil // the child now waits for the FIFO
		}
	}
}

// takeConsole keeps the terminal's master end for [Child.Attend], or hands it over.
func (l *Launch) takeConsole(c *Child, master *os.File) error {
	if l.SendConsole == nil {
		c.useConsole(master)
		return nil
	}
	defer master.Close()
	return l.SendConsole(master)
}

// meet does the parent's part at a sync point.
func (l *Launch) meet(ctx context.Context, m syncPoint, pid int) error {
	if err := interrupt.Cancelled(ctx); err != nil {
		return err
	}
	if !l.created {
		l.created = true
		if err := l.announce(ctx, pid); err != nil {
			return err
		}
	}
	switch {
	case m == beforePivot:
		return runInside(ctx, l.spec, createContainer, l.HookState, pid)
	case m == beforeProgram:
		return runInside(ctx, l.spec, startContainer, l.HookState, pid)
	case m == ready && l.Ready != nil:
		return l.Ready(pid)
	}
	return nil
}

// announce tells the caller of the child, and runs the hooks of the runtime namespace.
func (l *Launch) announce(ctx context.Context, pid int) error {
	if l.Created != nil {
		if err := l.Created(pid); err != nil {
			return err
		}
	}
	if l.spec == nil || len(runtimeHooks(l.spec)) == 0 {
		return nil
	}
	state, err := l.HookState(specs.StateCreating, pid)
	if err != nil {
		return err
	}
	for _, hook := range runtimeHooks(l.spec) {
		if err := spec.RunHook(ctx, hook, state); err != nil { // the container is not made
			return err
		}
	}
	return nil
}

// interrupted explains an error of a child that hung up: a Ctrl-C ends it, and reaches this process a little later.
func interrupted(ctx context.Context, err error) error {
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	select {
	case <-ctx.Done():
		return interrupt.Cancelled(ctx)
	case <-time.After(100 * time.Millisecond):
		return fmt.Errorf("the container's first process was killed: %w", err)
	}
}

// runtimeHooks returns the hooks that run in the runtime namespace before the mounts are made.
func runtimeHooks(s *spec.Spec) []specs.Hook {
	if s.Hooks == nil {
		return nil
	}
	return append(append([]specs.Hook(nil), s.Hooks.Prestart...), s.Hooks.CreateRuntime...) //nolint:staticcheck // still in use
}

// sortNamespaces sorts the namespaces of a document by how they are made or joined. clone(2) makes new ones, and the
// child joins others by their paths. The forking thread joins the pid namespace, which applies to its children, and
// makes the time namespace, whose offsets must be written before a process is in it.
func (l *Launch) sortNamespaces(s *spec.Spec) (err error) {
	words := []string{"unshare"}
	for _, ns := range s.Linux.Namespaces {
		switch {
		case ns.Type == specs.CgroupNamespace || ns.Type == specs.UserNamespace: // made last
		case ns.Path != "" && ns.Type == specs.PIDNamespace:
			if l.pidNS, err = os.Open(ns.Path); err != nil {
				return fmt.Errorf("join pid namespace %s: %w", ns.Path, errnoOf(err))
			}
		case ns.Path != "":
		case ns.Type == specs.TimeNamespace:
			l.newTime, l.time = true, timeOffsets(s.Linux.TimeOffsets)
		default:
			l.clone |= namespaceFlags()[ns.Type]
			words = append(words, "--"+string(ns.Type))
		}
	}
	linux.Trace(append(words, "--fork")...)
	return nil
}
