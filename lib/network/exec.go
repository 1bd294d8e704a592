package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
)

// Exec executes a program of the host in the network namespace at path. The program replaces this process, so it has its
// files, streams, signals and exit code. /sys is not remounted and shows the links of the host. Exec returns only on
// failure.
func Exec(path string, argv []string) error {
	program, err := exec.LookPath(argv[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return &notRun{argv[0], err}
	}
	if err := linux.CheckNetNS(path); err != nil {
		return err
	}
	linux.Trace(append(append([]string{"exec"}, link.Within(path)...), argv...)...)
	return linux.InNetNS(path, func() error {
		return &notRun{argv[0], syscall.Exec(program, argv, os.Environ())}
	})
}

// notRun is the error for a program that cannot be started.
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

// ExitStatus is that of a shell: 127 if the program is not found, 126 if it cannot be executed.
func (e *notRun) ExitStatus() int {
	if errors.Is(e.err, exec.ErrNotFound) || errors.Is(e.err, fs.ErrNotExist) {
		return 127
	}
	return 126
}
