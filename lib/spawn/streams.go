package spawn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// Streams are the caller's ends of a program's streams.
type Streams struct {
	In       io.Reader // nil: the program's input is empty
	Out      io.Writer
	Err      io.Writer
	Terminal *os.File // the caller's terminal, which is raw during the session; nil for none
	Screen   *os.File // the terminal whose size the program's terminal follows; nil for none
}

// Connect returns the streams of a program, with or without a terminal, for a caller that has the given ones. The
// program reads the caller's input if it is interactive, or if that input is the terminal.
func Connect(in io.Reader, out, errOut io.Writer, terminal, interactive bool) Streams {
	s := Streams{Out: out, Err: errOut}
	if interactive {
		s.In = in
	}
	if !terminal {
		return s
	}
	s.Screen = asTerminal(out)
	if tty := asTerminal(in); tty != nil {
		s.In, s.Terminal, s.Screen = in, tty, tty
	}
	return s
}

// OnTerminal reports whether both streams are terminals: the program should have one too.
func OnTerminal(in io.Reader, out io.Writer) bool {
	return asTerminal(in) != nil && asTerminal(out) != nil
}

func asTerminal(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && linux.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// sink takes output of a program; stream is "stdout" or "stderr".
type sink func(stream string, data []byte) error

// Attend connects a running program with the caller: streams, signals and the mode of the terminal. It returns the exit
// code when the program has ended. log also gets the output; it may be nil.
func (c *Child) Attend(s Streams, log func(stream string, data []byte) error) (int, error) {
	session, err := NewSession(s, c.console, c.Signal)
	if err != nil {
		return 0, err
	}
	var lost lostOutput
	c.move(session, s.In, func(stream string, data []byte) error {
		defer session.taken.Add(1)
		if log != nil {
			_ = lost.note(log(stream, data)) // a full disk is no reason to end the program
		}
		out := s.Out
		if stream == "stderr" {
			out = s.Err
		}
		_, err := out.Write(data)
		return lost.note(err)
	})
	session.Close()
	return c.Wait(), lost.error()
}

// move copies the streams until the program has ended and all of its output is delivered. If the program was asked to end
// and the caller's streams stall, the rest of the output is dropped.
func (c *Child) move(session *Session, in io.Reader, out sink) {
	if c.input != nil && in != nil {
		go c.feed(in) // not waited for: it may block in a read of the caller's terminal
	}
	var copying sync.WaitGroup
	for i, f := range c.outputs {
		name := "stdout"
		if i == 1 {
			name = "stderr"
		}
		copying.Go(func() { drain(f, name, out) })
	}
	<-c.ended
	// All that the program wrote is in the pipes now. Processes that it left behind may hold them open: their output is
	// not waited for.
	for _, f := range c.outputs {
		_ = f.SetReadDeadline(time.Unix(1, 0)) // in the past: ends a blocked read
	}
	asked := session.Release()
	delivered := make(chan struct{})
	go func() {
		copying.Wait()
		close(delivered)
	}()
	session.Await(delivered, asked)
	c.closeStreams()
}

// feed copies the caller's input to the program, and its end. The end of a terminal's input is a byte: the caller's own
// terminal passes it on when it is typed, and for a pipe or a file feed types it.
func (c *Child) feed(in io.Reader) {
	if c.console == nil {
		_, _ = io.Copy(c.input, in) // a program that stops reading is no error
		c.input.Close()
		return
	}
	typed := &lastByte{w: c.console, last: '\n'}
	_, _ = io.Copy(typed, in)
	if asTerminal(in) != nil {
		return
	}
	end := "\x04" // VEOF ends the input at the start of a line, and elsewhere only the line
	if typed.last != '\n' {
		end += end
	}
	_, _ = io.WriteString(c.console, end)
}

// lastByte remembers the last byte that was written.
type lastByte struct {
	w    io.Writer
	last byte
}

func (l *lastByte) Write(data []byte) (int, error) {
	if len(data) > 0 {
		l.last = data[len(data)-1]
	}
	return l.w.Write(data)
}

// drain delivers one stream of the program. If out fails, drain closes the stream, and the program gets SIGPIPE as in any
// pipe.
func drain(f *os.File, name string, out sink) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := f.Read(buffer)
		if n > 0 && out(name, buffer[:n]) != nil {
			f.Close()
			return
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			drainRest(f, name, buffer, out)
			return
		}
		if err != nil {
			return // end of file, or EIO of a terminal
		}
	}
}

// drainRest delivers what is in the pipe now, without blocking.
func drainRest(f *os.File, name string, buffer []byte, out sink) {
	if f.SetReadDeadline(time.Time{}) != nil {
		return
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	for {
		var n int
		var err error
		readErr := conn.Read(func(fd uintptr) bool {
			n, err = syscall.Read(int(fd), buffer)
			return true
		})
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if readErr != nil || err != nil || n <= 0 || out(name, buffer[:n]) != nil {
			return
		}
	}
}

// lostOutput remembers the first error of the caller's streams. EPIPE is none: the reader had what it wanted.
type lostOutput struct {
	mu  sync.Mutex
	err error
}

func (l *lostOutput) note(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.err == nil && !errors.Is(err, syscall.EPIPE) {
		l.err = fmt.Errorf("pass on the program's output: %w", err)
	}
	return err
}

func (l *lostOutput) error() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
