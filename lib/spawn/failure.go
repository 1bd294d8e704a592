package spawn

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// Error is why a container's program does not run. It travels between processes as JSON.
type Error struct {
	Text  string        `json:"text"`
	Errno syscall.Errno `json:"errno"`
	Exec  bool          `json:"exec"` // it was the program itself, not what stands around it
}

func (e *Error) Error() string { return e.Text }

// Unwrap makes errors.Is(err, syscall.ENOENT) work across processes.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// ExitStatus returns 127 where the program was not found, 126 where it cannot be executed, and 125
// where it did not come to that.
func (e *Error) ExitStatus() int {
	switch {
	case !e.Exec:
		return 125
	case e.Errno == syscall.ENOENT || e.Errno == syscall.ENOTDIR:
		return 127
	}
	return 126
}

// AsError turns an error into one that travels.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	e = &Error{Text: err.Error(), Errno: errnoOf(err)}
	return e
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	errors.As(err, &errno)
	return errno
}

// failure says what the report of a failed child means.
func (s *plan) failure(r linux.Report) error {
	switch call := s.Call(r.Step); {
	case r.Step >= s.lookup && call == "openat":
		return &Error{Text: fmt.Sprintf("execute %s: %v", s.name, syscall.EACCES), Errno: syscall.EACCES, Exec: true}
	case call == "":
		return notOnPath(s.name, r.Errno)
	case r.Step < s.lookup || call != "faccessat" && call != "execve" && call != "execveat":
		return s.Explain(r.Step, r.Errno)
	case call != "faccessat" && r.Errno == syscall.ENOENT: // it is there, we have looked
		text := fmt.Sprintf("execute %s: its interpreter is not there: %v", s.name, r.Errno)
		return &Error{Text: text, Errno: r.Errno, Exec: true}
	}
	return &Error{Text: fmt.Sprintf("execute %s: %v", s.name, r.Errno), Errno: r.Errno, Exec: true}
}

// notOnPath is the error about a program of which no directory of the PATH has one that can be executed.
func notOnPath(name string, errno syscall.Errno) error {
	text := "not found"
	if errno == 0 {
		errno = syscall.ENOENT
	} else {
		text = errno.Error()
	}
	return &Error{Text: fmt.Sprintf("execute %s: %s on PATH", name, text), Errno: errno, Exec: true}
}

// execError is the error about a program that [Reap] could not start.
func execError(name string, err error) *Error {
	e := &Error{Text: fmt.Sprintf("execute %s: %v", name, err), Errno: errnoOf(err), Exec: true}
	if e.Errno == syscall.ENOENT && strings.Contains(name, "/") {
		e.Text = fmt.Sprintf("execute %s: its interpreter is not there: %v", name, err)
	}
	return e
}
