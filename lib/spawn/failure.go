package spawn

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// Error says why a container's program does not run. It travels between processes as JSON.
type Error struct {
	Text  string        `json:"text"`
	Errno syscall.Errno `json:"errno"`
	Exec  bool          `json:"exec"` // the program itself could not be executed
}

func (e *Error) Error() string { return e.Text }

// Unwrap makes errors.Is(err, syscall.ENOENT) work across processes.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// ExitStatus returns 127 if the program was not found, 126 if it cannot be executed, and 125 for an earlier error.
func (e *Error) ExitStatus() int {
	switch {
	case !e.Exec:
		return 125
	case e.Errno == syscall.ENOENT || e.Errno == syscall.ENOTDIR:
		return 127
	}
	return 126
}

// AsError converts an error into one that travels.
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

// failure converts the report of a failed child into an error.
func (s *plan) failure(r linux.Report) error {
	switch call := s.Call(r.Step); {
	case r.Step >= s.lookup && call == "openat":
		return &Error{Text: fmt.Sprintf("execute %s: %v", s.name, syscall.EACCES), Errno: syscall.EACCES, Exec: true}
	case call == "":
		return notOnPath(s.name, r.Errno)
	case r.Step < s.lookup || call != "faccessat" && call != "execve" && call != "execveat":
		return s.Explain(r.Step, r.Errno)
	case call != "faccessat" && r.Errno == syscall.ENOENT: // the file was there: access(2) found it
		text := fmt.Sprintf("execute %s: its interpreter is missing: %v", s.name, r.Errno)
		return &Error{Text: text, Errno: r.Errno, Exec: true}
	}
	return &Error{Text: fmt.Sprintf("execute %s: %v", s.name, r.Errno), Errno: r.Errno, Exec: true}
}

// notOnPath returns the error about a program that no directory of the PATH has as an executable file.
func notOnPath(name string, errno syscall.Errno) error {
	text := "not found"
	if errno == 0 {
		errno = syscall.ENOENT
	} else {
		text = errno.Error()
	}
	return &Error{Text: fmt.Sprintf("execute %s: %s on PATH", name, text), Errno: errno, Exec: true}
}

// execError returns the error about a program that [Reap] could not start.
func execError(name string, err error) *Error {
	e := &Error{Text: fmt.Sprintf("execute %s: %v", name, err), Errno: errnoOf(err), Exec: true}
	if e.Errno == syscall.ENOENT && strings.Contains(name, "/") {
		e.Text = fmt.Sprintf("execute %s: its interpreter is missing: %v", name, err)
	}
	return e
}
