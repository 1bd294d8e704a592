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

// Attach connects the caller with a container that runs in the background, as if it had been started in the
// foreground: it shows what the program writes from a moment on, passes the caller's input and signals to it, and
// returns its exit code when it has ended. At a terminal, Ctrl-P Ctrl-Q lets go of it: detached is true then.
//
// There is nothing between the two: the output is read from the log, and the input is the very pipe or terminal that
// the monitor holds open (pidfd_getfd(2)). So the end of the caller's input is not that of the program's. One that has
// ended is only heard.
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
	if console != nil && s.Screen != nil {
		spawn.Resize(console, s.Screen)
	}
	if console != nil && s.Terminal != nil {
		restore, err := linux.MakeRaw(s.Terminal)
		if err != nil {
			return 0, false, err
		}
		defer restore()
	}
	ctx, leave := context.WithCancelCause(context.WithoutCancel(ctx)) // a Ctrl-C is the program's
	defer leave(nil)
	send := func(sig syscall.Signal) {
		if errors.Is(r.Signal(c, sig), spawn.ErrNotRunning) { // it is ours, where the rest of the output is not taken
			interrupt.Tell(sig)
			leave(context.Canceled)
		}
	}
	if since.IsZero() {
		since = time.Now() // before anything is typed: the answer belongs to it
	}
	if input != nil && s.In != nil {
		go func() {
			if _, err := io.Copy(input, &untilDetached{s.In, s.Terminal != nil, false}); errors.Is(err, errDetached) {
				leave(errDetached)
			}
		}()
	}
	stop := spawn.Forward(send, console, s.Screen)
	defer func() { _ = stop() }()
	var ended atomic.Bool
	result := make(chan error, 1)
	shown := make(chan struct{})
	var taken spawn.Flow
	go func() {
		var err error
		code, err = r.WaitCode(ctx, c)
		ended.Store(true)
		asked := err == nil && stop()
		result <- err
		taken.Await(shown, asked)
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
		return crilog.Read(ctx, r.LogPath(c.ID), o, taken.Writer(s.Out), taken.Writer(s.Err))
	})
	switch cause := context.Cause(ctx); {
	case cause == errDetached:
		return 0, true, nil
	case cause == errStalled || err == nil:
		err = <-result
	}
	return code, false, err
}

// programInput returns the pipe or terminal that a program reads, from the monitor that holds it; nil where it has none.
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

// The ends of an attachment that are not that of the container's output.
var (
	errDetached = errors.New("detached")
	errStalled  = errors.New("the container has ended, and its output is not taken")
)

// untilDetached reads what a user types, up to the two keys that let go of a container.
type untilDetached struct {
	in    io.Reader
	keys  bool // there are such keys
	first bool // the first of them was typed
}

const (
	ctrlP = 0x10
	ctrlQ = 0x11
)

func (u *untilDetached) Read(p []byte) (int, error) {
	if !u.keys || len(p) < 2 {
		return u.in.Read(p)
	}
	// One place is left for a Ctrl-P that was held back.
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
