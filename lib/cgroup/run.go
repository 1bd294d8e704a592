package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
)

// Exec replaces this process by a program in the cgroup. The error wraps fs.ErrNotExist if there is no
// such program, or another error of execve(2). argv must not be empty.
func (g *Group) Exec(argv []string) error {
	path, err := exec.LookPath(argv[0])
	var lookup *exec.Error
	if errors.As(err, &lookup) && !errors.Is(err, exec.ErrDot) {
		return fmt.Errorf("run %s: %w", argv[0], lookup.Err)
	}
	runtime.LockOSThread() // Enter moves the thread that becomes the program
	defer runtime.UnlockOSThread()
	if err := g.Enter(); err != nil {
		return err
	}
	linux.Trace(append([]string{"exec"}, argv...)...)
	if err := syscall.Exec(path, argv, os.Environ()); err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	return nil
}

// Run creates a cgroup with the limits, runs the program in it, and removes the cgroup. It forwards
// signals that end a program, and kills processes that the program left running. launch is the
// command that joins cgroup id and executes the program: one of mydocker's, because the program must be
// in the cgroup before its first instruction. The exit code is the program's, or 128+n for signal n.
func (m *Manager) Run(ctx context.Context, l Limits, id string, launch []string, in io.Reader, out, errw io.Writer) (code int, err error) {
	g, unlock, err := m.createStandalone(l, id)
	if err != nil {
		return 0, err
	}
	defer unlock()
	defer func() {
		ctx := interrupt.Undoing(ctx)
		err = errors.Join(err, g.Kill(ctx), g.Remove(ctx))
	}()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	before, takeBack := interrupt.Lend()
	defer takeBack()
	cmd, err := g.start(func() *exec.Cmd {
		cmd := exec.Command(launch[0], launch[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errw
		return cmd
	})
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", launch[0], err)
	}
	if before != 0 {
		_ = cmd.Process.Signal(before)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			_ = cmd.Process.Signal(sig) // fails if it has exited
		case err := <-ended:
			return exitCode(cmd.ProcessState, err)
		}
	}
}

// start clones a command into the v2 cgroup ([Group.OpenUnified]). On kernels without clone3(2) the command starts
// outside.
func (g *Group) start(command func() *exec.Cmd) (*exec.Cmd, error) {
	dir, err := g.OpenUnified()
	if err != nil {
		return nil, err
	}
	defer dir.Close() // a nil *os.File returns an error, which is ignored
	cmd := command()
	if dir != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	}
	if err = cmd.Start(); errors.Is(err, syscall.ENOSYS) {
		cmd = command()
		err = cmd.Start()
	}
	return cmd, err
}

// exitCode returns the exit code of a program, 128+n for signal n.
func exitCode(state *os.ProcessState, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return state.ExitCode(), nil
}
