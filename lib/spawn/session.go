package spawn

import (
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
)

// Session passes the caller's signals on to a program and keeps the caller's terminal raw.
type Session struct {
	release func() (asked bool)
	restore func()
	taken   atomic.Int64 // writes of output that the caller's streams have taken
}

// stalled is how long the caller's streams may take nothing after the program was asked to end and has ended.
const stalled = 500 * time.Millisecond

// NewSession begins a session with the program that send signals. console is the master end of its terminal; nil for none. It
// gets the size of the terminal of the caller, now and on each SIGWINCH.
func NewSession(s Streams, console *os.File, send func(syscall.Signal)) (*Session, error) {
	session := &Session{restore: func() {}}
	if console != nil && s.Screen != nil {
		resize(console, s.Screen) // it may have changed since the plan was made
	}
	if console != nil && s.Terminal != nil {
		restore, err := linux.MakeRaw(s.Terminal)
		if err != nil {
			return nil, err
		}
		session.restore = restore
	}
	session.release = forward(send, console, s.Screen)
	return session, nil
}

// Release stops passing signals on, and reports whether one of them asked the program to end. It is idempotent.
func (s *Session) Release() (asked bool) { return s.release() }

// Close releases the session and restores the mode of the caller's terminal.
func (s *Session) Close() {
	s.release()
	s.restore()
}

// Writer returns w, counting for [Session.Await] what it takes.
func (s *Session) Writer(w io.Writer) io.Writer { return &sessionWriter{w, s} }

type sessionWriter struct {
	w io.Writer
	s *Session
}

func (w *sessionWriter) Write(data []byte) (int, error) {
	n, err := w.w.Write(data)
	w.s.taken.Add(1)
	return n, err
}

// Await waits until the output of a program that has ended is delivered, or a signal ends this process. If the program
// was asked to end, Await also gives up on streams that stall.
func (s *Session) Await(delivered <-chan struct{}, asked bool) {
	var tick <-chan time.Time
	told := interrupt.Told()
	if asked && told != nil { // a monitor waits until all is in the log
		ticker := time.NewTicker(stalled / 5)
		defer ticker.Stop()
		tick = ticker.C
	}
	last, since := s.taken.Load(), time.Now()
	for {
		select {
		case <-delivered:
			return
		case <-told:
			return
		case <-tick:
		}
		if now := s.taken.Load(); now != last {
			last, since = now, time.Now()
		} else if time.Since(since) >= stalled {
			return
		}
	}
}

// forward passes the caller's signals on to the program until stop is called, which reports whether one asked it to end.
// With a terminal, SIGWINCH resizes it. Under nohup, SIGHUP is dropped.
func forward(send func(syscall.Signal), console, tty *os.File) (stop func() (asked bool)) {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	before, takeBack := interrupt.Lend()
	if before != 0 {
		signals <- before
	}
	done := make(chan struct{})
	asked := false
	go func() {
		defer close(done)
		for sig := range signals {
			switch n := sig.(syscall.Signal); {
			case n == syscall.SIGCHLD || n == syscall.SIGPIPE || n == syscall.SIGURG:
			case n == syscall.SIGHUP && linux.HangupIgnored():
			case n == syscall.SIGWINCH && tty != nil && console != nil:
				resize(console, tty)
			default:
				asked = asked || n == syscall.SIGINT || n == syscall.SIGTERM || n == syscall.SIGHUP || n == syscall.SIGQUIT
				send(n)
			}
		}
	}()
	return sync.OnceValue(func() bool {
		takeBack()
		signal.Stop(signals)
		close(signals)
		<-done
		return asked
	})
}

// resize gives the program's terminal the size of the caller's. It does nothing if that terminal is gone, or reports 0x0:
// its size is unknown.
func resize(console, tty *os.File) {
	if size, err := linux.GetWindowSize(tty); err == nil && size != (linux.WindowSize{}) {
		_ = linux.SetWindowSize(console, size)
	}
}

// sizeOf returns the size of a terminal; zero if there is none.
func sizeOf(tty *os.File) linux.WindowSize {
	if tty == nil {
		return linux.WindowSize{}
	}
	size, err := linux.GetWindowSize(tty)
	if err != nil {
		return linux.WindowSize{}
	}
	return size
}
