// Package interrupt ends a command that gets SIGINT, SIGTERM or SIGHUP, whatever it waits for:
//
//	at once        the command's context ends, and so do waits for a lock and for an archive on standard input
//	after Linger   so does the wait for a document: the stage before may be handing it over, for us to undo
//	after Late     what it undoes waits for no lock any more: the next command finds the rest
//	after Undo     nor for a hook
//	after Patience the process ends, be it in a system call that cannot be interrupted
//	after Limit    the same where it has something to undo: that may take longer on a busy machine
//
// Like os/signal it is about the process as a whole. Where [Notify] was not called, as in the monitor of a container,
// nothing is interrupted. While a program in the foreground has the signals ([Lend]), they end only the context.
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

// How long after a signal a command has ended.
const (
	Linger   = 400 * time.Millisecond
	Late     = 500 * time.Millisecond
	Undo     = 900 * time.Millisecond
	Patience = 750 * time.Millisecond
	Limit    = 3 * time.Second
)

// guard is what has become of the signals to this process.
type guard struct {
	mu      sync.Mutex
	cancel  context.CancelFunc
	exit    func(code int)
	signal  syscall.Signal // the first that was for this process; 0: none
	told    chan struct{}  // closed then
	linger  chan struct{}  // closed when that is Linger ago
	late    chan struct{}  // closed when it is Late ago
	timers  []*time.Timer
	undoing bool
	lent    int
}

// process is the guard of this process; nil where its signals are not heard.
var (
	process   *guard
	processMu sync.Mutex
)

func current() *guard {
	processMu.Lock()
	defer processMu.Unlock()
	return process
}

// Notify returns a context that ends with the first of the signals, and what ends the watch for them.
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

// end ends the process, unless it is undoing something and may go on.
func (g *guard) end(always bool) {
	g.mu.Lock()
	ends, sig := g.timers != nil && (always || !g.undoing), g.signal
	g.mu.Unlock()
	if ends {
		g.exit(128 + int(sig))
	}
}

// Signal returns the signal that this process was told to end by; 0 for none.
func Signal() syscall.Signal {
	g := current()
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.signal
}

// Told returns a channel that is closed when this process is told to end.
func Told() <-chan struct{} {
	g := current()
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.told
}

// WaitEnd returns a channel that is closed when a wait that begins now must end: with the signal, or where that has
// come already, as when something is undone, soon after it.
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

// Tell is what a signal does to this process that could not be passed on: the program has ended.
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

// Lend says that signals are for a program in the foreground until they are taken back: the caller passes them on. One
// that came just before is returned, for the program as well; 0 for none.
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

// Undoing returns a context for undoing what was made: it goes on when ctx has ended, until [Late] after a signal that
// is yet to come, or [Undo] from now on.
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

// Clean says that what this process does cleans up by itself when its context ends, and may take [Limit] for that.
func Clean() {
	if g := current(); g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.undoing = true
	}
}

// undoing is a context that ends when something is closed.
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

// Do does something that may stick in a system call, and returns its error, or that of ctx soon after it ended: then
// it goes on alone.
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

// Reader returns a reader of in whose reads end when this process is told to: then they return context.Canceled. What a
// read takes that was under way is lost.
func Reader(in io.Reader) io.Reader {
	return newReader(in, func(g *guard) <-chan struct{} { return g.told })
}

// LingeringReader is the same for a document, which may be on its way: its reads end [Linger] later.
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
	data []byte // of the read that is under way: it may outlive the call
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
