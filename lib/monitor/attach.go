package monitor

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/state"
)

// Attach connects the caller with a container that runs in the background, as if it ran in the foreground: it shows what
// the program writes from since on, passes the caller's input and signals to it, and returns its exit code when it has
// ended. At a terminal, Ctrl-P Ctrl-Q detaches: detached is true then.
//
// No process stands between the two: Attach reads the output from the log, and writes the input to the pipe or terminal
// that the monitor holds open (pidfd_getfd(2)). So the end of the caller's input does not end the program's. A container
// that has ended has only output.
func (r *Runtime) Attach(ctx context.Context, c *state.Container, since time.Time, s spawn.Streams) (code int, detached bool, err error) {
	input, err := programInput(c.Run)
	if err != nil {
		return 0, false, err
	}
	var console *os.File
	if input != nil {
		defer input.Close()
		if c.Spec.ProcessPart().Terminal {
			console = input
		}
	}
	ctx, leave := context.WithCancelCause(context.WithoutCancel(ctx)) // a Ctrl-C is the program's
	defer leave(nil)
	send := func(sig syscall.Signal) {
		if errors.Is(r.Handle(c).Signal(ctx, sig), spawn.ErrNotRunning) { // the signal is for us: the caller stopped reading
			interrupt.Tell(sig)
			leave(context.Canceled)
		}
	}
	session, err := spawn.NewSession(s, console, send)
	if err != nil {
		return 0, false, err
	}
	defer session.Close()
	if since.IsZero() {
		since = time.Now() // before the first byte of input, so that the answer to it is shown
	}
	if input != nil && s.In != nil {
		go func() {
			if _, err := io.Copy(input, &untilDetached{s.In, s.Terminal != nil, false}); errors.Is(err, errDetached) {
				leave(errDetached)
			}
		}()
	}
	var ended atomic.Bool
	result := make(chan error, 1)
	shown := make(chan struct{})
	go func() {
		var err error
		code, err = r.WaitCode(ctx, c)
		ended.Store(true)
		asked := err == nil && session.Release()
		result <- err
		session.Await(shown, asked)
		select {
		case <-shown:
		default:
			leave(errStalled)
		}
	}()
	linux.Trace("tail", "-f", r.LogPath(c.ID))
	o := crilog.Options{Tail: -1, Since: since, Follow: true, Ended: ended.Load, Parts: true}
	err = interrupt.Do(ctx, func() error {
		defer close(shown)
		return crilog.Read(ctx, r.LogPath(c.ID), o, session.Writer(s.Out), session.Writer(s.Err))
	})
	switch cause := context.Cause(ctx); {
	case cause == errDetached:
		return 0, true, nil
	case cause == errStalled || err == nil:
		err = <-result
	}
	return code, false, err
}

// programInput returns the pipe or terminal that a program reads, from the monitor that holds it; nil if it has none.
func programInput(run state.Run) (*os.File, error) {
	if run.Input == 0 {
		return nil, nil
	}
	monitor, err := run.Monitor.Open()
	if errors.Is(err, os.ErrProcessDone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer monitor.Close()
	return linux.PidfdGetFile(monitor, run.Input, "input")
}

// Causes that end an attachment before the container's output ends.
var (
	errDetached = errors.New("detached by the user")
	errStalled  = errors.New("the container has ended, and its output is not read")
)

// untilDetached reads the user's input up to the two keys that detach from a container.
type untilDetached struct {
	in    io.Reader
	keys  bool // the keys are looked for
	first bool // the first of them was typed
}

const (
	ctrlP = 0x10
	ctrlQ = 0x11
)

// Read implements io.Reader.
func (u *untilDetached) Read(p []byte) (int, error) {
	if !u.keys || len(p) < 2 {
		return u.in.Read(p)
	}
	// One byte is left for a Ctrl-P that was held back.
	n, err := u.in.Read(p[1:])
	out := p[:0]
	for _, b := range p[1 : 1+n] {
		if u.first && b == ctrlQ {
			return len(out), errDetached
		}
		if u.first {
			out = append(out, ctrlP)
		}
		if u.first = b == ctrlP; !u.first {
			out = append(out, b)
		}
	}
	return len(out), err
}
