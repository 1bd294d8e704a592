// Package interrupt ends a command that gets SIGINT, SIGTERM or SIGHUP, whatever it waits for:
//
//	at once        the command's context ends, and with it waits for locks and for an archive on standard input
//	after Linger   waits for a document end: until then the stage before may hand one over, which must be undone
//	after Late     undoing waits for no more locks: the next sweep finds the rest
//	after Undo     undoing waits for no more hooks
//	after Patience the process exits, even in a system call that cannot be interrupted
//	after Limit    a process that undoes something exits: undoing may take longer on a busy machine
//
// Like os/signal it works on the whole process. Without a call of [Notify], as in the monitor of a container, nothing is
// interrupted. While signals are lent to a program in the foreground ([Lend]), they end only the context.
package interrupt

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Times after a signal; see the package comment.
const (
	Linger   = 400 * time.Millisecond
	Late     = 500 * time.Millisecond
	Undo     = 900 * time.Millisecond
	Patience = 750 * time.Millisecond
	Limit    = 3 * time.Second
)

// guard handles the signals to this process.
type guard struct {
	mu      sync.Mutex
	cancel  context.CancelFunc
	exit    func(code int)
	signal  syscall.Signal // the first signal that was not lent; 0 for none
	told    chan struct{}  // closed at that signal
	linger  chan struct{}  // closed Linger after it
	late    chan struct{}  // closed Late after it
	timers  []*time.Timer
	undoing bool
	lent    int
}

// process is the guard of this process; nil without Notify.
var (
	process   *guard
	processMu sync.Mutex
)

func current() *guard {
	processMu.Lock()
	defer processMu.Unlock()
	return process
}

// Notify returns a context that ends with the first of the signals. stop ends the handling of signals.
func Notify(parent context.Context, signals ...os.Signal) (ctx context.Context, stop func()) {
	return notify(parent, os.Exit, signals...)
}

func notify(parent context.Context, exit func(int), signals ...os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	g := &guard{cancel: cancel, exit: exit, told: make(chan struct{}), linger: make(chan struct{}), late: make(chan struct{})}
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, signals...)
	over := make(chan struct{})
	go func() {
		for {
			select {
			case sig := <-heard:
				g.hear(sig.(syscall.Signal))
			case <-over:
				return
			}
		}
	}()
	set := func(to *guard) {
		processMu.Lock()
		defer processMu.Unlock()
		process = to
	}
	set(g)
	return ctx, sync.OnceFunc(func() {
		signal.Stop(heard)
		close(over)
		set(nil)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.stopTimers()
		cancel()
	})
}

func (g *guard) hear(sig syscall.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancel()
	if g.lent == 0 {
		g.tell(sig)
	}
}

func (g *guard) tell(sig syscall.Signal) {
	if g.signal != 0 {
		return
	}
	g.signal = sig
	close(g.told)
	linger, late := g.linger, g.late
	g.timers = []*time.Timer{
		time.AfterFunc(Linger, func() { close(linger) }),
		time.AfterFunc(Late, func() { close(late) }),
		time.AfterFunc(Patience, func() { g.end(false) }),
		time.AfterFunc(Limit, func() { g.end(true) }),
	}
}

func (g *guard) stopTimers() {
	for _, t := range g.timers {
		t.Stop()
	}
	g.timers = nil
}

// end exits the process, unless it undoes something and always is false.
func (g *guard) end(always bool) {
	g.mu.Lock()
	ends, sig := g.timers != nil && (always || !g.undoing), g.signal
	g.mu.Unlock()
	if ends {
		g.exit(128 + int(sig))
	}
}

// Signal returns the signal that ends this process; 0 for none.
func Signal() syscall.Signal {
	g := current()
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.signal
}

// Told returns a channel that is closed when a signal ends this process.
func Told() <-chan struct{} {
	g := current()
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.told
}

// WaitEnd returns a channel that is closed when a wait that begins now must end: at the signal, or [Late] after it if the
// signal has arrived already, as while something is undone.
func WaitEnd() <-chan struct{} {
	g := current()
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.signal != 0 {
		return g.late
	}
	return g.told
}

// Tell handles a lent signal that could not be passed on, because the program has ended.
func Tell(sig syscall.Signal) {
	g := current()
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancel()
	g.tell(sig)
}

// Lend lends the signals to a program in the foreground until takeBack is called: the caller passes them on. before is a
// signal that arrived earlier, which is for the program too; 0 for none.
func Lend() (before syscall.Signal, takeBack func()) {
	g := current()
	if g == nil {
		return 0, func() {}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	before = g.signal
	if before != 0 {
		g.stopTimers()
		g.signal, g.told, g.linger, g.late = 0, make(chan struct{}), make(chan struct{}), make(chan struct{})
	}
	g.lent++
	return before, sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.lent--
	})
}

// Undoing returns a context for undoing work after ctx has ended. It ends [Late] after a later signal, or [Undo] from now
// if the signal has arrived already.
func Undoing(ctx context.Context) context.Context {
	ctx = context.WithoutCancel(ctx)
	g := current()
	if g == nil {
		return ctx
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.undoing = true
	late := g.late
	if g.signal != 0 {
		late = make(chan struct{})
		time.AfterFunc(Undo, func() { close(late) })
	}
	return undoing{ctx, late}
}

// Clean allows this process [Limit] after a signal, because it cleans up when its context ends.
func Clean() {
	if g := current(); g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.undoing = true
	}
}

// undoing is a context that ends when late is closed.
type undoing struct {
	context.Context
	late <-chan struct{}
}

func (u undoing) Done() <-chan struct{} { return u.late }

func (u undoing) Err() error {
	select {
	case <-u.late:
		return context.Canceled
	default:
		return nil
	}
}

// Do calls a function that may block in a system call. It returns the function's error, or that of ctx 100 ms after ctx
// has ended; then the function goes on in its goroutine.
func Do(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(100 * time.Millisecond):
		return ctx.Err()
	}
}

// Reader returns a reader of in whose reads return context.Canceled after a signal. The data of a read in progress is
// lost.
func Reader(in io.Reader) io.Reader {
	return newReader(in, func(g *guard) <-chan struct{} { return g.told })
}

// LingeringReader is [Reader] for a document, which may be on its way: its reads end [Linger] after the signal.
func LingeringReader(in io.Reader) io.Reader {
	return newReader(in, func(g *guard) <-chan struct{} { return g.linger })
}

func newReader(in io.Reader, end func(*guard) <-chan struct{}) io.Reader {
	g := current()
	if in == nil || g == nil {
		return in
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return &reader{in: in, end: end(g)}
}

type reader struct {
	in   io.Reader
	end  <-chan struct{}
	data []byte // of the read in progress, which may outlive the call of Read
}

func (r *reader) Read(p []byte) (int, error) {
	select {
	case <-r.end:
		return 0, context.Canceled
	default:
	}
	type result struct {
		n   int
		err error
	}
	if len(r.data) < len(p) {
		r.data = make([]byte, len(p))
	}
	buffer, done := r.data[:len(p)], make(chan result, 1)
	go func() {
		n, err := r.in.Read(buffer)
		done <- result{n, err}
	}()
	select {
	case got := <-done:
		return copy(p, buffer[:got.n]), got.err
	case <-r.end:
		return 0, context.Canceled
	}
}
