package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// plan is what the parent hands to the init: all that it needs to know, so that it asks nobody and
// reads no file of the host's state.
type plan struct {
	Process *specs.Process   `json:"process"`
	Group   string           `json:"group,omitempty"`  // the control group that the init joins
	Reap    bool             `json:"reap,omitempty"`   // our small init stays as PID 1 (--init)
	Die     bool             `json:"die,omitempty"`    // the program dies with the parent
	Trace   bool             `json:"trace,omitempty"`  // show what is done to the kernel
	Size    linux.WindowSize `json:"size"`             // of the terminal, where there is one
	Build   *build           `json:"build,omitempty"`  // a new container, or …
	Joined  string           `json:"joined,omitempty"` // … the id of the one that is entered (exec)
	Enter   int              `json:"enter,omitempty"`  // kinds of namespaces entered, clone(2) flags
}

// build says how a new container is made.
type build struct {
	Spec    *specs.Spec   `json:"spec"`
	Bundle  string        `json:"bundle"` // relative paths of the document start here
	Root    string        `json:"root"`   // absolute
	Cgroups []cgroupMount `json:"cgroups,omitempty"`
	State   []byte        `json:"state,omitempty"` // standard input of hooks
}

// cgroupMount is one hierarchy as the container shall see it below /sys/fs/cgroup.
type cgroupMount struct {
	Source string `json:"source"` // the container's own group
	Name   string `json:"name"`   // cpu, memory …; "" for the unified hierarchy
}

// The descriptors of an init beyond its standard streams.
const (
	planFD  = 3 // the socket to the parent
	pidfdFD = 4 // the container's first process, for exec
)

// message is what the init tells the parent, one JSON object per line. When the program runs, the
// socket closes without a message.
type message struct {
	Trace   string `json:"trace,omitempty"`
	Console bool   `json:"console,omitempty"` // the terminal's descriptor comes with it
	Error   *Error `json:"error,omitempty"`
}

// Error is why a container's program does not run.
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

// asError turns an error into one that travels.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	e = &Error{Text: err.Error()}
	errors.As(err, &e.Errno)
	return e
}

// tell sends one message to the parent.
func tell(socket *os.File, m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = socket.Write(append(data, '\n'))
	return err
}

// listen reads the init's messages until the program runs. It returns the terminal, if one came.
func listen(socket *os.File) (console *os.File, err error) {
	var pending []byte
	buffer := make([]byte, 16<<10)
	for {
		n, file, err := linux.Receive(socket, buffer)
		if file != nil {
			console = file
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return console, err
		}
		pending = append(pending, buffer[:n]...)
		for {
			line, rest, ok := cutLine(pending)
			if !ok {
				break
			}
			pending = rest
			var m message
			if err := json.Unmarshal(line, &m); err != nil {
				return console, fmt.Errorf("talk to the init: %w", err)
			}
			if m.Error != nil {
				return console, m.Error
			}
			if m.Trace != "" {
				slog.Debug(m.Trace)
			}
		}
		if n == 0 {
			return console, nil
		}
	}
}

func cutLine(data []byte) (line, rest []byte, ok bool) {
	for i, b := range data {
		if b == '\n' {
			return data[:i], data[i+1:], true
		}
	}
	return nil, data, false
}
