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
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/seccomp"
	"github.com/weikeit/mydocker/lib/spec"
)

// Stdio are the streams that a program gets: descriptors of its own, never the caller's.
type Stdio struct{ in, out, err *os.File }

func (s *Stdio) Close() {
	for _, f := range []*os.File{s.in, s.out, s.err} {
		if f != nil {
			f.Close()
		}
	}
}

// Launch says how a program is started in namespaces. Its files are closed by start.
type Launch struct {
	compile     func(descriptors) (*plan, error)
	Die         bool     // the program dies with us
	Orphan      bool     // we end before it: its end is for its next parent to see
	path        string   // see program
	clone       int      // new namespaces, clone(2) flags
	group       string   // the control group, "" for that of the caller
	pidNS       *os.File // the pid namespace that is joined; nil for none
	kinds       int      // the other namespaces of a running container that are joined,
	root        *os.File // and its root, where that is not the root of its mount namespace
	newTime     bool     // the forking thread makes a time namespace,
	time        string   // with these offsets (time_namespaces(7))
	idMaps      []*idMap // of the container and of its mounts
	reaper      *os.File // the small init that stays as PID 1 (--init); nil for none
	StartFIFO   *os.File // where the child waits to be started; nil for at once
	Inherit     bool     // the program has our own streams, and not those of stdio
	NoPivot     bool     // see blueprint
	KeepKeyring bool     // the program has our session keyring
	KeptFDs     int      // the program gets so many of our descriptors from 3 on
	Stdio       *Stdio   // a stream that is nil is the null device
	Sync        func(m SyncPoint, pid int) error
	SendConsole func(master *os.File) error // hands the terminal over at once; nil to keep it in the child

	Resident bool // who starts it stays with it in a program of its own: see [supervision.shrink]
}

// NewLaunch says how the container of a document is started. Relative paths of the document start at the bundle.
// Its control group is made, for the set of state of that mark.
func NewLaunch(s *spec.Spec, bundle string, size linux.WindowSize, set string) (*Launch, error) {
	if err := cgroup.Apply(context.Background(), s, set); err != nil {
		return nil, err
	}
	b, err := newBlueprint(s, bundle)
	if err != nil {
		return nil, err
	}
	l := &Launch{group: s.LinuxPart().CgroupsPath}
	if err := l.sortNamespaces(s); err != nil {
		return nil, err
	}
	if b.procsFiles, err = l.cgroupProcsFiles(); err != nil {
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
		b.program = *newProgram(s.Process, size, fds, own)
		b.program.filter = filter
		b.program.die, b.program.keyring, b.noPivot = l.Die, l.KeepKeyring, l.NoPivot
		return b.compile()
	}
	return l, nil
}

// newBlueprint collects what the list of system calls for a container is made of.
func newBlueprint(s *spec.Spec, bundle string) (*blueprint, error) {
	b := &blueprint{spec: &s.Spec, bundle: bundle, root: s.Root.Path, hasRuntimeHooks: len(RuntimeHooks(s)) > 0}
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
	if path := s.Linux.CgroupsPath; path != "" {
		group, err := cgroup.Open(path)
		if err != nil {
			return nil, err
		}
		for _, d := range group.Dirs() {
			b.cgroups = append(b.cgroups, cgroupMount{name: d.Name, source: d.Path})
		}
	}
	return b, nil
}

// emptyIn reports whether a directory beneath the root has nothing in it, or is not there.
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

// filterOf compiles the document's filter of system calls, which every program of the container gets.
func filterOf(s *spec.Spec) (*seccomp.Filter, error) {
	if s.Linux == nil || s.Linux.Seccomp == nil {
		return nil, nil
	}
	return seccomp.Compile(s.Linux.Seccomp)
}

// newProgram returns the program of a document, with what it means in this process.
func newProgram(proc *specs.Process, size linux.WindowSize, fds descriptors, own *idMap) *program {
	p := &program{process: proc, size: size, held: linux.HeldCapabilities(), fds: fds, users: own}
	if proc.Terminal { // which all streams become
		p.fds.nodes = [3]node{}
	}
	if own != nil {
		p.held = linux.KnownCapabilities() // a user namespace starts with all there are
	}
	p.files[0], p.files[1] = linux.OpenFilesLimit()
	return p
}

// close closes what the child has got, or does not need any more.
func (l *Launch) close() {
	l.Stdio.Close()
	for _, u := range l.idMaps {
		u.close()
	}
	for _, f := range []*os.File{l.pidNS, l.root, l.reaper, l.StartFIFO} {
		if f != nil {
			f.Close()
		}
	}
}

// Child is a started program.
type Child struct {
	PID     int
	Console *os.File      // master end of the terminal, nil where there is none
	Ended   chan struct{} // closed when the process has ended
	status  syscall.WaitStatus

	// given is closed when a child that is to be an orphan is ours to reap all the same: it does not come to run.
	released chan struct{}

	// become takes what the thread that forked does in place of waiting; nil where it can do nothing else. With
	// another thread's end, the child, which asked for a signal at its parent's, would not live on.
	Become chan func()
}

// Reap waits for the process.
func (c *Child) Reap() {
	for {
		_, err := syscall.Wait4(c.PID, &c.status, 0, nil)
		if err != syscall.EINTR {
			break
		}
	}
	close(c.Ended)
}

// Wait waits for the end of the program and returns its exit code.
func (c *Child) Wait() int {
	<-c.Ended
	return ExitCode(c.status)
}

// Start forks the child and waits until the program runs, or returns why it does not. The process is then
// gone.
func (l *Launch) Start() (*Child, error) {
	defer l.close()
	ours, theirs, err := linux.SocketPair()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	fds := descriptors{socket: int(theirs.Fd()), spare: int(ours.Fd()), reaper: linux.FDOf(l.reaper), pidfd: -1, root: linux.FDOf(l.root), start: linux.FDOf(l.StartFIFO), kept: l.KeptFDs}
	fds.users = make(map[*idMap]int, len(l.idMaps))
	for _, u := range l.idMaps {
		fds.users[u] = int(u.file.Fd())
	}
	for i, f := range []*os.File{l.Stdio.in, l.Stdio.out, l.Stdio.err} {
		if l.Inherit {
			fds.stdio[i], fds.nodes[i] = i, nodeOf(i)
			continue
		}
		if f == nil {
			f, fds.nodes[i] = null, nullNode()
		}
		fds.stdio[i] = int(f.Fd())
	}
	s, err := l.compile(fds)
	if err != nil {
		return nil, err
	}
	c := &Child{Ended: make(chan struct{})}
	if l.Orphan {
		c.released = make(chan struct{})
	}
	if l.Resident && l.pidNS == nil { // a thread whose children are born elsewhere can have no other threads
		c.Become = make(chan func())
	}
	started := make(chan error)
	go l.forkAndWait(s, c, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the container's first process: %w", err)
	}
	theirs.Close()
	l.close()
	if err := l.followChild(s, c, ours); err != nil {
		_ = syscall.Kill(c.PID, syscall.SIGKILL) // not yet reaped, or ended: the pid is its own
		if c.released != nil {
			close(c.released)
		}
		<-c.Ended
		if c.status.Signaled() && c.status.Signal() == syscall.SIGSYS {
			err = errors.New("the seccomp filter kills the container before its program runs: it must let execve, capset, prctl, faccessat, read and write pass")
		}
		if c.Console != nil {
			c.Console.Close()
		}
		return nil, err
	}
	return c, nil
}

// openCgroup opens the v2 control group, nil where there is none: a process that is born there (clone3(2),
// CLONE_INTO_CGROUP) need not be moved, which takes the kernel ten milliseconds.
func (l *Launch) openCgroup() (*os.File, error) {
	if l.group == "" {
		return nil, nil
	}
	group, err := cgroup.Open(l.group)
	if err != nil {
		return nil, err
	}
	return group.OpenUnified()
}

// forkAndWait forks the child and waits for it on a thread of its own: the thread may be in the pid
// namespace of a container, and its end would be the parent's death to the child (prctl(2)). The
// goroutine stays locked to it, so that it dies with it.
func (l *Launch) forkAndWait(s *plan, c *Child, started chan<- error) {
	runtime.LockOSThread()
	birthplace, err := l.openCgroup()
	if birthplace != nil {
		defer birthplace.Close()
	}
	if err == nil {
		err = l.join()
	}
	if err == nil {
		c.PID, err = s.Fork(l.clone, birthplace)
	}
	started <- err
	if err != nil {
		return
	}
	if c.released != nil {
		// Reaped by us, a program that has ended already would be one whose code and end its engine never sees.
		<-c.released
	}
	if c.Become == nil {
		c.Reap()
		return
	}
	// Only looked at, not reaped, by another thread: its exit code would be lost where the program that this one becomes
	// is to have it.
	over := make(chan struct{})
	go func() {
		linux.AwaitChild(c.PID)
		close(over)
	}()
	select {
	case <-over:
	case do := <-c.Become:
		do() // returns where it failed
	}
	c.Reap()
}

// followChild meets the child where it waits, and listens until the program runs.
func (l *Launch) followChild(s *plan, c *Child, socket *os.File) error {
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
			return nil // it runs, or was killed at once: its code tells
		case !ok:
			return fmt.Errorf("the container's first process ended: %w", syscall.EPIPE)
		case r.Console != nil:
			c.Console = r.Console
			if l.SendConsole == nil {
				continue
			}
			if err := l.SendConsole(r.Console); err != nil {
				return err
			}
			continue
		}
		m := s.syncPoints[r.Step]
		complete = m == Ready
		if err := l.Sync(m, c.PID); err != nil {
			return err
		}
		if err := linux.ResumeChild(socket); err != nil {
			return err
		}
		if complete && l.StartFIFO != nil {
			return nil // it waits for somebody else now
		}
	}
}

// Signal sends a signal to the program; one that has ended gets none.
func (c *Child) Signal(sig syscall.Signal) {
	select {
	case <-c.Ended:
	default:
		_ = syscall.Kill(c.PID, sig) // not yet reaped: the pid is still its own
	}
}

// Interrupted says so where the init was ended by the Ctrl-C that is on its way to us, too: it hangs up in the
// middle of a word.
func Interrupted(ctx context.Context, err error) error {
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	select {
	case <-ctx.Done():
		return Cancelled(ctx)
	case <-time.After(100 * time.Millisecond):
		return fmt.Errorf("the init was killed: %w", err)
	}
}

// Cancelled stops a set-up that the user gave up.
func Cancelled(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("stopped by a signal: %w", ctx.Err())
	}
	return nil
}
