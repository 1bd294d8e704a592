package linux

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Steps is a list of system calls that a forked child performs before it becomes another program: what
// a container is, as data. A function makes it, a test reads it, --debug shows it, and [Steps.Fork] has it
// done, with no Go in between: a Go program with its threads cannot be forked and go on.
//
// A step is one system call. What it returns can go into a register for the steps behind it. An error
// ends the child, unless the step ignores it; what follows can depend on that ([Step.Then], [Step.OrElse]).
type Steps struct {
	list      []step
	registers int
	doing     string
	socket    int // to the parent
	err       error
}

// step is one system call as the child performs it. The child only reads it: it must not allocate, nor
// write a pointer.
type step struct {
	call      *call
	args      [maxArgs]Value
	into      int              // a register, or noRegister
	least     uintptr          // a smaller result is an error: a short write, the end of a file
	device    *device          // what a file must be
	ignored   [4]syscall.Errno // errors after which the list goes on
	ignoreAll bool
	remember  bool // an ignored error is what the end of the list is reported with
	onFailure int  // steps to leave out after an ignored error
	onSuccess int  // steps to leave out otherwise
	doing     string
	means     map[syscall.Errno]string
	words     func() []string // the shell command that does the same
}

// device is a character device that a file must be, and what the kernel says that it is.
type device struct {
	got          unix.Statx_t
	major, minor uint32
}

const (
	maxArgs    = 6
	noRegister = -1
)

// call is a system call by name.
type call struct {
	name   string
	number uintptr
}

// Value is an argument of a step: a number, a register, or a pointer to memory of the parent's, which the
// child has at the same place.
type Value struct {
	kind  valueKind
	flags flagKind // how the number reads
	n     uintptr
	p     unsafe.Pointer
}

type valueKind uint8

const (
	isNothing valueKind = iota
	isNumber
	isRegister
	isText  // a string with a NUL at its end
	isBlock // some bytes
)

// NewSteps returns an empty list for a child that talks to its parent by the descriptor socket.
func NewSteps(socket int) *Steps {
	return &Steps{list: make([]step, 0, 256), socket: socket}
}

// Doing says what the steps to come are for: errors start with it.
func (l *Steps) Doing(what string) { l.doing = what }

// Fail notes that the list cannot be made. The first error stays.
func (l *Steps) Fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// Err returns why the list could not be made.
func (l *Steps) Err() error { return l.err }

// Len returns the number of steps.
func (l *Steps) Len() int { return len(l.list) }

// Step is a step that has just been added, to say more about it.
type Step struct {
	l *Steps
	i int
}

func (l *Steps) add(c *call, args ...Value) Step {
	s := step{call: c, into: noRegister, doing: l.doing}
	copy(s.args[:], args)
	l.list = append(l.list, s)
	return Step{l, len(l.list) - 1}
}

func (s Step) step() *step { return &s.l.list[s.i] }

// Into returns a new register that gets the step's result.
func (s Step) Into() Value {
	s.step().into = s.l.registers
	s.l.registers++
	return Value{kind: isRegister, n: uintptr(s.step().into)}
}

// IntoSame puts the result where an earlier step may have put one.
func (s Step) IntoSame(register Value) { s.step().into = int(register.n) }

// Least makes a result below n an error.
func (s Step) Least(n int) Step {
	s.step().least = uintptr(n)
	return s
}

// Ignoring lets the list go on after these errors, up to four; after all of them, where none is named.
func (s Step) Ignoring(errnos ...syscall.Errno) Step {
	copy(s.step().ignored[:], errnos)
	s.step().ignoreAll = len(errnos) == 0
	return s
}

// Remember makes an ignored error other than ENOENT and ENOTDIR the one that is told where the list comes to
// its end and nothing was executed.
func (s Step) Remember() Step {
	s.step().remember = true
	return s
}

// Then adds steps that are left out after an ignored error.
func (s Step) Then(add func()) Step {
	start := len(s.l.list)
	add()
	s.step().onFailure = len(s.l.list) - start
	return s
}

// OrElse adds steps that are done after an ignored error alone.
func (s Step) OrElse(add func()) {
	start := len(s.l.list)
	add()
	s.step().onSuccess = len(s.l.list) - start
}

// Means gives an error of the step words of its own.
func (s Step) Means(errno syscall.Errno, text string) Step {
	if s.step().means == nil {
		s.step().means = make(map[syscall.Errno]string, 1)
	}
	s.step().means[errno] = text
	return s
}

// Words says what the step is in a shell, for an error that needs more than what the step is for.
func (s Step) Words(words func() []string) Step {
	s.step().words = words
	return s
}

// Explain says what went wrong where step i of the list ended with an error.
func (l *Steps) Explain(i int, errno syscall.Errno) error {
	if i >= len(l.list) {
		return fmt.Errorf("execute nothing: %w", errno)
	}
	s := &l.list[i]
	what := s.doing
	if s.words != nil {
		what += ": " + shorten(s.words())
	}
	if text, ok := s.means[errno]; ok {
		return &explained{what + ": " + text, errno}
	}
	return fmt.Errorf("%s: %w", what, errno)
}

// explained is an errno in other words.
type explained struct {
	text  string
	errno syscall.Errno
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.errno }

// Call returns the name of the system call of step i; "" behind the last.
func (l *Steps) Call(i int) string {
	if i >= len(l.list) {
		return ""
	}
	return l.list[i].call.name
}
