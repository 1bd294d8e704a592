package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// Exec turns this process into a program of the host that has the network namespace at path and all else of
// this process: files, streams, signals, the exit code. Nothing is mounted anew, so /sys shows
// the links of the host. It returns only where that fails.
func Exec(path string, argv []string) error {
	program, err := exec.LookPath(argv[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return &notRun{argv[0], err}
	}
	if err := linux.CheckNetNS(path); err != nil {
		return err
	}
	linux.Trace(append(append([]string{"exec"}, within(path)...), argv...)...)
	return linux.InNetNS(path, func() error {
		return &notRun{argv[0], syscall.Exec(program, argv, os.Environ())}
	})
}

// notRun says that a program could not be started.
type notRun struct {
	name string
	err  error
}

func (e *notRun) Error() string {
	cause := e.err
	var lookup *exec.Error
	if errors.As(cause, &lookup) {
		cause = lookup.Err
	}
	var path *fs.PathError
	if errors.As(cause, &path) {
		cause = path.Err
	}
	return fmt.Sprintf("run %s: %v", e.name, cause)
}

func (e *notRun) Unwrap() error { return e.err }

// ExitStatus is that of a shell: 127 where there is no such program, 126 where it cannot be executed.
func (e *notRun) ExitStatus() int {
	if errors.Is(e.err, exec.ErrNotFound) || errors.Is(e.err, fs.ErrNotExist) {
		return 127
	}
	return 126
}
