package spawn

import (
	"errors"
	"os"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// Child is a started program, with our ends of its streams.
type Child struct {
	PID     int
	outputs []*os.File // standard output and standard error, or the terminal
	input   *os.File   // nil if the program has no input
	console *os.File   // master end of the terminal; nil for none

	ended  chan struct{} // closed when the process has ended and is reaped
	status syscall.WaitStatus

	released chan struct{} // an orphan: closed if its start failed, so that we reap it after all; else nil
	become   chan func()   // what the thread that forked does instead of waiting; nil if it cannot
}

func newChild() *Child { return &Child{ended: make(chan struct{})} }

// Resume returns the child of a process that has executed itself since it forked, by the descriptors of [Child.Files].
func Resume(pid int, fds [3]int, terminal bool) *Child {
	c := newChild()
	c.PID = pid
	if terminal {
		c.useConsole(os.NewFile(uintptr(fds[0]), "console"))
	} else {
		c.outputs = []*os.File{os.NewFile(uintptr(fds[0]), "stdout"), os.NewFile(uintptr(fds[1]), "stderr")}
		if fds[2] >= 0 {
			c.input = os.NewFile(uintptr(fds[2]), "stdin")
		}
	}
	go c.reap()
	return c
}

// Files returns the descriptors of standard output, standard error and standard input, -1 for none. With a terminal,
// only the first is set.
func (c *Child) Files() (fds [3]int, terminal bool) {
	fds = [3]int{-1, -1, -1}
	if c.console != nil {
		fds[0] = linux.RawFD(c.console)
		return fds, true
	}
	for i, f := range c.outputs {
		fds[i] = linux.RawFD(f)
	}
	if c.input != nil {
		fds[2] = linux.RawFD(c.input)
	}
	return fds, false
}

// Input returns the descriptor that the program's input is written to; ok is false if it has none.
func (c *Child) Input() (fd int, ok bool) {
	if c.input == nil {
		return 0, false
	}
	return linux.RawFD(c.input), true
}

func (c *Child) useConsole(master *os.File) {
	c.console, c.input, c.outputs = master, master, []*os.File{master}
}

func (c *Child) closeStreams() { closeAll(append(c.outputs, c.input)) }

// Become runs do on the thread that forked the child. do executes another program in this process: the kernel would
// kill the child if another thread did, because the one that forked would end (PR_SET_PDEATHSIG, prctl(2)). Become
// returns if do failed, if the child has ended, or if the launch was not [Launch.Resident].
func (c *Child) Become(do func() error) {
	if c.become == nil {
		return
	}
	failed := make(chan struct{})
	select {
	case <-c.ended:
	case c.become <- func() {
		_ = do() // the caller goes on as it is
		close(failed)
	}:
		<-failed
	}
}

// reap waits for the process.
func (c *Child) reap() {
	for {
		_, err := syscall.Wait4(c.PID, &c.status, 0, nil)
		if err != syscall.EINTR {
			break
		}
	}
	close(c.ended)
}

// Wait waits for the end of the program and returns its exit code.
func (c *Child) Wait() int {
	<-c.ended
	return exitCode(c.status)
}

// Signal sends a signal to the program, unless it has ended.
func (c *Child) Signal(sig syscall.Signal) {
	select {
	case <-c.ended:
	default:
		_ = syscall.Kill(c.PID, sig) // not yet reaped, so the pid is still its own
	}
}

// abort kills a child that did not come to execute its program, and returns why it did not.
func (c *Child) abort(why error) error {
	_ = syscall.Kill(c.PID, syscall.SIGKILL) // not yet reaped, so the pid is still its own
	if c.released != nil {
		close(c.released)
	}
	<-c.ended
	c.closeStreams()
	if c.status.Signaled() && c.status.Signal() == syscall.SIGSYS {
		return errors.New("the seccomp filter kills the container before its program runs: it must allow execve, capset, prctl, faccessat, read and write")
	}
	return why
}

// exitCode returns the exit code as a shell has it: 128+n for signal n.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
