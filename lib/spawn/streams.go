package spawn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
)

// Streams are the caller's ends of a program's streams.
type Streams struct {
	In       io.Reader // nil: the program's input is empty
	Out      io.Writer
	Err      io.Writer
	Terminal *os.File // the caller's own terminal, made raw meanwhile; nil where there is none
	Screen   *os.File // the terminal whose size the program's follows; nil where there is none
}

// Connect returns the streams for a program with or without a terminal, whose caller has the given
// ones. The caller's input is passed on where that was asked for, or where it is the terminal.
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

// OnTerminal reports whether both are terminals: a program in front of a person then gets one too.
func OnTerminal(in io.Reader, out io.Writer) bool {
	return asTerminal(in) != nil && asTerminal(out) != nil
}

func asTerminal(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && linux.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// sink takes what a program writes; stream is "stdout" or "stderr".
type sink func(stream string, data []byte) error

// Pump moves bytes between a program and its caller.
type Pump struct {
	child   *Child
	Outputs []*os.File // read from
	Input   *os.File   // written to, nil where the program has no input
	copying sync.WaitGroup
}

// Pipes makes the streams of a program that has no terminal: the program's ends and ours.
func Pipes(interactive bool) (theirs *Stdio, p *Pump, err error) {
	theirs, p = &Stdio{}, &Pump{}
	fail := func(err error) (*Stdio, *Pump, error) {
		theirs.Close()
		p.Close()
		return nil, nil, err
	}
	if interactive {
		if theirs.in, p.Input, err = os.Pipe(); err != nil {
			return fail(err)
		}
	}
	for _, their := range []**os.File{&theirs.out, &theirs.err} {
		r, w, err := os.Pipe()
		if err != nil {
			return fail(err)
		}
		*their = w
		p.Outputs = append(p.Outputs, r)
	}
	return theirs, p, nil
}

func (p *Pump) Close() {
	for _, f := range append(p.Outputs, p.Input) {
		if f != nil {
			f.Close()
		}
	}
}

// run moves bytes until the program has ended, which it then tells ended, and all that it wrote is delivered. Where
// nobody takes that, and somebody asked the program to end, or asks us now, the rest is given up.
func (p *Pump) run(c *Child, in io.Reader, ended func() (asked bool), out sink) {
	p.child = c
	if c.Console != nil {
		p.Outputs, p.Input = []*os.File{c.Console}, c.Console
	}
	if p.Input != nil && in != nil {
		go p.feed(in) // not waited for: it may sleep in a read of the caller's terminal for ever
	}
	var taken Flow
	for i, f := range p.Outputs {
		name := "stdout"
		if i == 1 {
			name = "stderr"
		}
		p.copying.Add(1)
		go p.drain(f, name, taken.through(out))
	}
	<-c.Ended
	// What the program wrote is in the pipe by now. A process that it left behind may hold the pipe
	// open: its words are not waited for.
	for _, f := range p.Outputs {
		_ = f.SetReadDeadline(Past())
	}
	asked := ended()
	delivered := make(chan struct{})
	go func() {
		p.copying.Wait()
		close(delivered)
	}()
	taken.Await(delivered, asked)
	p.Close()
}

// feed gives the program its input, and the end of it. A terminal has no end but a byte, which the
// caller's own terminal hands on when it is typed; for a pipe or a file it is typed here.
func (p *Pump) feed(in io.Reader) {
	if p.Input != p.child.Console {
		_, _ = io.Copy(p.Input, in) // a program that reads no more is no error
		p.Input.Close()
		return
	}
	typed := &lastByte{w: p.Input, last: '\n'}
	_, _ = io.Copy(typed, in)
	if asTerminal(in) != nil {
		return
	}
	end := "\x04" // VEOF: what is typed is complete; at the start of a line, nothing more comes
	if typed.last != '\n' {
		end += end
	}
	_, _ = io.WriteString(p.Input, end)
}

// lastByte remembers what was written last.
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

// drain delivers what the program writes to one stream. When nobody takes it, the stream is closed,
// so that the program gets its SIGPIPE, as in any pipe.
func (p *Pump) drain(f *os.File, name string, out sink) {
	defer p.copying.Done()
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
			return // end of file; EIO where it is a terminal
		}
	}
}

// drainRest delivers what is in the pipe, and waits for nothing.
func drainRest(f *os.File, name string, buffer []byte, out sink) {
	if f.SetReadDeadline(never()) != nil {
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

// Forward passes the caller's signals on to the program until stop is called, which reports whether one was to end it.
// With a terminal, SIGWINCH becomes its new size. Under nohup a SIGHUP ends here.
func Forward(send func(syscall.Signal), console, tty *os.File) (stop func() (asked bool)) {
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
				Resize(console, tty)
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

// Resize gives the program's terminal the size of the caller's. A terminal that is gone has none, and one
// of 0x0 does not know it: the program's keeps its own.
func Resize(console, tty *os.File) {
	if size, err := linux.GetWindowSize(tty); err == nil && size != (linux.WindowSize{}) {
		_ = linux.SetWindowSize(console, size)
	}
}

// SizeOf returns the size that the program's terminal starts with; zero where the caller has none.
func SizeOf(tty *os.File) linux.WindowSize {
	if tty == nil {
		return linux.WindowSize{}
	}
	size, err := linux.GetWindowSize(tty)
	if err != nil {
		return linux.WindowSize{}
	}
	return size
}

// Attend connects a running program with the caller: streams, signals and the terminal's mode. It
// returns when the program has ended, with its exit code.
func (p *Pump) Attend(c *Child, s Streams, log sink) (int, error) {
	restore := func() {}
	if c.Console != nil && s.Screen != nil {
		Resize(c.Console, s.Screen) // it may have changed since the list was made
	}
	if c.Console != nil && s.Terminal != nil {
		raw, err := linux.MakeRaw(s.Terminal)
		if err != nil {
			return 0, err
		}
		restore = raw
	}
	stop := Forward(c.Signal, c.Console, s.Screen)
	var lost lostOutput
	p.run(c, s.In, stop, func(stream string, data []byte) error {
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
	restore()
	return c.Wait(), lost.error()
}

// lostOutput remembers the first error of the caller's streams. A reader that is gone is none: it had
// what it wanted.
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

// Past is a deadline that has passed: it ends a read that sleeps.
func Past() time.Time { return time.Unix(1, 0) }

// never is no deadline.
func never() time.Time { return time.Time{} }

// AttendInherited waits for a program that has our own streams, or a terminal that is sent to and from them.
func (c *Child) AttendInherited(streams Streams, handedOver bool) (int, error) {
	if c.Console != nil && !handedOver {
		return (&Pump{}).Attend(c, streams, nil)
	}
	stop := Forward(c.Signal, nil, nil)
	code := c.Wait()
	stop()
	return code, nil
}
