package linux

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Steps is a plan: the system calls that a forked child performs before it executes a program. A container is thus data
// that a function makes, a test compares and --debug prints. [Steps.Fork] performs it without Go code, because a
// multithreaded Go program cannot continue after fork(2).
//
// A step is one system call. Its result can go into a register for later steps. An error ends the child unless the step
// ignores it; later steps can depend on that ([Step.Then], [Step.OrElse]).
type Steps struct {
	list      []step
	registers int
	doing     string
	socket    int // to the parent
	err       error
}

// step is a system call as the child performs it. The child only reads it: it must not allocate memory or write a
// pointer.
type step struct {
	call      *call
	args      [maxArgs]Value
	into      int              // a register, or noRegister
	least     uintptr          // a smaller result is an error: a short write, or end of file
	device    *device          // the device that a file must be
	ignored   [4]syscall.Errno // the plan continues after these errors
	ignoreAll bool
	remember  bool // report this ignored error at the end of the plan
	onFailure int  // steps to skip after an ignored error
	onSuccess int  // steps to skip otherwise
	doing     string
	means     map[syscall.Errno]string
	words     func() []string // equivalent shell command
}

// device is the character device that a file must be, and the kernel's answer.
type device struct {
	got          unix.Statx_t
	major, minor uint32
}

const (
	maxArgs    = 6
	noRegister = -1
)

// call is a system call.
type call struct {
	name   string
	number uintptr
}

// Value is an argument of a step: a number, a register, or a pointer to the parent's memory, which is at the same
// address in the child.
type Value struct {
	kind  valueKind
	flags flagKind // how to print the number
	n     uintptr
	p     unsafe.Pointer
}

type valueKind uint8

const (
	isNothing valueKind = iota
	isNumber
	isRegister
	isText  // NUL-terminated string
	isBlock // bytes
)

// NewSteps returns an empty plan for a child that reports to its parent on a socket.
func NewSteps(socket int) *Steps {
	return &Steps{list: make([]step, 0, 256), socket: socket}
}

// Doing sets what the following steps are for. Errors start with it.
func (l *Steps) Doing(what string) { l.doing = what }

// Fail records that the plan cannot be made. The first error stays.
func (l *Steps) Fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// Err returns the error of [Steps.Fail].
func (l *Steps) Err() error { return l.err }

// Len returns the number of steps.
func (l *Steps) Len() int { return len(l.list) }

// Step is a step that was just added. Its methods change it.
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

// Into returns a new register that receives the step's result.
func (s Step) Into() Value {
	s.step().into = s.l.registers
	s.l.registers++
	return Value{kind: isRegister, n: uintptr(s.step().into)}
}

// IntoSame puts the result into the register of an alternative step.
func (s Step) IntoSame(register Value) { s.step().into = int(register.n) }

// Least makes a result below n an error.
func (s Step) Least(n int) Step {
	s.step().least = uintptr(n)
	return s
}

// Ignoring lets the plan continue after these errors, at most four, or after any error if none is given.
func (s Step) Ignoring(errnos ...syscall.Errno) Step {
	copy(s.step().ignored[:], errnos)
	s.step().ignoreAll = len(errnos) == 0
	return s
}

// Remember makes the plan report an ignored error, other than ENOENT and ENOTDIR, if it ends without executing a
// program.
func (s Step) Remember() Step {
	s.step().remember = true
	return s
}

// Then adds steps that are skipped after an ignored error.
func (s Step) Then(add func()) Step {
	start := len(s.l.list)
	add()
	s.step().onFailure = len(s.l.list) - start
	return s
}

// OrElse adds steps that are performed only after an ignored error.
func (s Step) OrElse(add func()) {
	start := len(s.l.list)
	add()
	s.step().onSuccess = len(s.l.list) - start
}

// Means sets the text for an error of the step.
func (s Step) Means(errno syscall.Errno, text string) Step {
	if s.step().means == nil {
		s.step().means = make(map[syscall.Errno]string, 1)
	}
	s.step().means[errno] = text
	return s
}

// Words sets the equivalent shell command, which errors show after the purpose of the step.
func (s Step) Words(words func() []string) Step {
	s.step().words = words
	return s
}

// Explain returns the error of step i.
func (l *Steps) Explain(i int, errno syscall.Errno) error {
	if i >= len(l.list) {
		return fmt.Errorf("execute the program: %w", errno)
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

// explained is an errno with another text.
type explained struct {
	text  string
	errno syscall.Errno
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.errno }

// Call returns the name of the system call of step i, "" after the last.
func (l *Steps) Call(i int) string {
	if i >= len(l.list) {
		return ""
	}
	return l.list[i].call.name
}
