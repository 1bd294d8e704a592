package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unicode"

	"github.com/weikeit/mydocker/lib/interrupt"
)

// Status ends a command with an exit code and without a message: the code of a container's program, or that of a
// command whose errors were printed one by one.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

func (e *coded) Unwrap() error { return e.error }

func (e *coded) ExitStatus() int { return e.code }

// WithCode gives an error an exit code, unless it has one already.
func WithCode(code int, err error) error {
	var own interface{ ExitStatus() int }
	var status Status
	if err == nil || errors.As(err, &own) || errors.As(err, &status) {
		return err
	}
	return &coded{err, code}
}

// usageError marks wrong usage.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// Usagef returns an error of wrong usage: exit code 2.
func Usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// about is an error with the name of its subject.
type about struct {
	error
	subject string
}

func (e *about) Unwrap() error { return e.error }

// About names the subject of an error, which is printed after the command: "run web: …".
func About(subject string, err error) error {
	if err == nil {
		return nil
	}
	return &about{err, subject}
}

// report prints an error and returns the exit code: the error's own (method ExitStatus, a name that no other package
// uses), or that of the table in lib/spec.
func (c Command) report(t Tool, err error, std *IO) int {
	var status Status
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case c.Stage == nil && readerGone(err):
		return 128 + int(syscall.SIGPIPE) // like any filter whose reader has seen enough: "mydocker ps | head -1"
	case interrupted(err):
		return ExitFailed // after Ctrl-C there is nothing to report
	}
	c.print(t, err, std)
	var own interface{ ExitStatus() int }
	var usage *usageError
	switch {
	case errors.As(err, &own):
		return own.ExitStatus()
	case c.Failure != 0:
		return c.Failure
	case errors.As(err, &usage):
		return ExitUsage
	}
	return ExitFailed
}

// interrupted reports whether the error only says that a signal ended the command.
func interrupted(err error) bool {
	return interrupt.Signal() != 0 && errors.Is(err, context.Canceled)
}

// readerGone reports whether standard output has lost its reader.
func readerGone(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Path == os.Stdout.Name() && errors.Is(err, syscall.EPIPE)
}

// print writes an error as one line, and its hint as a second line.
func (c Command) print(t Tool, err error, std *IO) {
	where := c.path(t)
	if c.Name != "" {
		where = t.Name + ": " + c.Name
	}
	var a *about
	if errors.As(err, &a) && a.subject != "" {
		where += " " + a.subject
	}
	fmt.Fprintln(std.Err, OneLine(where+": "+err.Error()))
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		fmt.Fprintln(std.Err, OneLine("hint: "+hint.Hint()))
	}
}

// Each runs f for every argument. An error about one does not stop the others; a signal does.
func Each(std *IO, tool, command string, args []string, f func(arg string) error) error {
	var failed bool
	for _, arg := range args {
		err := f(arg)
		if interrupted(err) {
			return err
		}
		if err != nil {
			Command{Name: command}.print(Tool{Name: tool}, err, std)
			failed = true
		}
		if interrupt.Signal() != 0 && failed {
			break
		}
	}
	if failed {
		return Status(ExitFailed)
	}
	return nil
}

// Warn prints a warning as one line.
func Warn(w io.Writer, tool, format string, args ...any) {
	fmt.Fprintln(w, OneLine(tool+": warning: "+fmt.Sprintf(format, args...)))
}

// OneLine makes a text safe for one line of a terminal: line ends become "; ", and control characters, which may come
// from an untrusted image, are quoted.
func OneLine(text string) string {
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "; ")
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "%q", r)
		}
	}
	return b.String()
}
