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

// stdio are the streams that a program gets: descriptors of its own, never the caller's.
type stdio struct{ in, out, err *os.File }

func (s *stdio) close() {
	for _, f := range []*os.File{s.in, s.out, s.err} {
		if f != nil {
			f.Close()
		}
	}
}

// launch says how a program is started in namespaces. Its files are closed by start.
type launch struct {
	compile     func(descriptors) (*script, error)
	die         bool     // the program dies with us
	orphan      bool     // we end before it: its end is for its next parent to see
	path        string   // see program
	clone       int      // new namespaces, clone(2) flags
	group       string   // the control group, "" for that of the caller
	pidNS       *os.File // the pid namespace that is joined; nil for none
	kinds       int      // the other namespaces of a running container that are joined,
	root        *os.File // and its root, where that is not the root of its mount namespace
	newTime     bool     // the forking thread makes a time namespace,
	time        string   // with these offsets (time_namespaces(7))
	users       []*users // of the container and of its mounts
	reaper      *os.File // the small init that stays as PID 1 (--init); nil for none
	fifo        *os.File // where the child waits to be started; nil for at once
	inherit     bool     // the program has our own streams, and not those of stdio
	noPivot     bool     // see blueprint
	keepKeyring bool     // the program has our session keyring
	kept        int      // the program gets so many of our descriptors from 3 on
	stdio       *stdio   // a stream that is nil is the null device
	meet        func(m meeting, pid int) error
	console     func(master *os.File) error // hands the terminal over at once; nil to keep it in the child

	resident bool // who starts it stays with it in a program of its own: see [tenure.shrink]
}

// newLaunch says how the container of a document is started. Relative paths of the document start at the bundle.
// Its control group is made, for the set of state of that mark.
func newLaunch(s *spec.Spec, bundle string, size linux.WindowSize, set string) (*launch, error) {
	if err := cgroup.Apply(context.Background(), s, set); err != nil {
		return nil, err
	}
	b, err := draw(s, bundle)
	if err != nil {
		return nil, err
	}
	l := &launch{group: s.LinuxPart().CgroupsPath}
	if err := l.namespaces(s); err != nil {
		return nil, err
	}
	if b.entrances, err = l.entrances(); err != nil {
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
	own, err := l.bring(s, b)
	if err != nil {
		return nil, err
	}
	l.compile = func(fds descriptors) (*script, error) {
		b.program = *newProgram(s.Process, size, fds, own)
		b.program.filter = filter
		b.program.die, b.program.keyring, b.noPivot = l.die, l.keepKeyring, l.noPivot
		return b.compile()
	}
	return l, nil
}

// draw collects what the list of system calls for a container is made of.
func draw(s *spec.Spec, bundle string) (*blueprint, error) {
	b := &blueprint{spec: &s.Spec, bundle: bundle, root: s.Root.Path, outside: len(outsideHooks(s)) > 0}
	if !filepath.IsAbs(b.root) {
		b.root = filepath.Join(b.bundle, b.root)
	}
	if p := s.Linux.RootfsPropagation; ownMounts(s.Linux) && (strings.HasSuffix(p, "shared") || strings.HasSuffix(p, "unbindable")) {
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
func newProgram(proc *specs.Process, size linux.WindowSize, fds descriptors, own *users) *program {
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
func (l *launch) close() {
	l.stdio.close()
	for _, u := range l.users {
		u.close()
	}
	for _, f := range []*os.File{l.pidNS, l.root, l.reaper, l.fifo} {
		if f != nil {
			f.Close()
		}
	}
}

// child is a started program.
type child struct {
	pid     int
	console *os.File      // master end of the terminal, nil where there is none
	ended   chan struct{} // closed when the process has ended
	status  syscall.WaitStatus

	// given is closed when a child that is to be an orphan is ours to reap all the same: it does not come to run.
	given chan struct{}

	// become takes what the thread that forked does in place of waiting; nil where it can do nothing else. With
	// another thread's end, the child, which asked for a signal at its parent's, would not live on.
	become chan func()
}

// reap waits for the process.
func (c *child) reap() {
	for {
		_, err := syscall.Wait4(c.pid, &c.status, 0, nil)
		if err != syscall.EINTR {
			break
		}
	}
	close(c.ended)
}

// wait waits for the end of the program and returns its exit code.
func (c *child) wait() int {
	<-c.ended
	return exitCode(c.status)
}

// start forks the child and waits until the program runs, or returns why it does not. The process is then
// gone.
func (l *launch) start() (*child, error) {
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
	fds := descriptors{socket: int(theirs.Fd()), spare: int(ours.Fd()), reaper: linux.FDOf(l.reaper), pidfd: -1, root: linux.FDOf(l.root), start: linux.FDOf(l.fifo), kept: l.kept}
	fds.users = make(map[*users]int, len(l.users))
	for _, u := range l.users {
		fds.users[u] = int(u.file.Fd())
	}
	for i, f := range []*os.File{l.stdio.in, l.stdio.out, l.stdio.err} {
		if l.inherit {
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
	c := &child{ended: make(chan struct{})}
	if l.orphan {
		c.given = make(chan struct{})
	}
	if l.resident && l.pidNS == nil { // a thread whose children are born elsewhere can have no other threads
		c.become = make(chan func())
	}
	started := make(chan error)
	go l.keep(s, c, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the container's first process: %w", err)
	}
	theirs.Close()
	l.close()
	if err := l.attend(s, c, ours); err != nil {
		_ = syscall.Kill(c.pid, syscall.SIGKILL) // not yet reaped, or ended: the pid is its own
		if c.given != nil {
			close(c.given)
		}
		<-c.ended
		if c.status.Signaled() && c.status.Signal() == syscall.SIGSYS {
			err = errors.New("the seccomp filter kills the container before its program runs: it must let execve, capset, prctl, faccessat, read and write pass")
		}
		if c.console != nil {
			c.console.Close()
		}
		return nil, err
	}
	return c, nil
}

// birthplace opens the v2 control group, nil where there is none: a process that is born there (clone3(2),
// CLONE_INTO_CGROUP) need not be moved, which takes the kernel ten milliseconds.
func (l *launch) birthplace() (*os.File, error) {
	if l.group == "" {
		return nil, nil
	}
	group, err := cgroup.Open(l.group)
	if err != nil {
		return nil, err
	}
	return group.Birthplace()
}

// keep forks the child and waits for it on a thread of its own: the thread may be in the pid
// namespace of a container, and its end would be the parent's death to the child (prctl(2)). The
// goroutine stays locked to it, so that it dies with it.
func (l *launch) keep(s *script, c *child, started chan<- error) {
	runtime.LockOSThread()
	birthplace, err := l.birthplace()
	if birthplace != nil {
		defer birthplace.Close()
	}
	if err == nil {
		err = l.join()
	}
	if err == nil {
		c.pid, err = s.Fork(l.clone, birthplace)
	}
	started <- err
	if err != nil {
		return
	}
	if c.given != nil {
		// Reaped by us, a program that has ended already would be one whose code and end its engine never sees.
		<-c.given
	}
	if c.become == nil {
		c.reap()
		return
	}
	// Only looked at, not reaped, by another thread: its exit code would be lost where the program that this one becomes
	// is to have it.
	over := make(chan struct{})
	go func() {
		linux.AwaitChild(c.pid)
		close(over)
	}()
	select {
	case <-over:
	case do := <-c.become:
		do() // returns where it failed
	}
	c.reap()
}

// attend meets the child where it waits, and listens until the program runs.
func (l *launch) attend(s *script, c *child, socket *os.File) error {
	for _, line := range s.trace {
		slog.Debug(line)
	}
	complete := false
	for {
		r, ok, err := s.Listen(socket)
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
			c.console = r.Console
			if l.console == nil {
				continue
			}
			if err := l.console(r.Console); err != nil {
				return err
			}
			continue
		}
		m := s.meetings[r.Step]
		complete = m == ready
		if err := l.meet(m, c.pid); err != nil {
			return err
		}
		if err := linux.GoOn(socket); err != nil {
			return err
		}
		if complete && l.fifo != nil {
			return nil // it waits for somebody else now
		}
	}
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
