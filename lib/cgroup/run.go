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

// Exec turns this process into a program that runs in the group. The error wraps fs.ErrNotExist
// where there is no such program, and other errors of execve(2) as they are. argv is not empty.
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

// Run makes a group of its own with the limits, runs the program in it, and removes the group. The
// signals that end a program are passed on to it; what it leaves running is killed. launch is the
// command that joins group id and becomes the program: our own, since the program must be in the group
// before its first instruction. The exit code is the program's, or 128+n for signal n.
func (m *Manager) Run(ctx context.Context, l Limits, id string, launch []string, in io.Reader, out, errw io.Writer) (code int, err error) {
	if err := l.checkValues(); err != nil {
		return 0, err
	}
	g, err := m.Open(id)
	if err != nil {
		return 0, err
	}
	r, err := l.Resources()
	if err != nil {
		return 0, err
	}
	r.Devices = nil // a program of the host keeps the host's devices
	unlock, err := m.lockGroup(id)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if _, err := g.create(r); err != nil {
		return 0, err
	}
	g.markAlone()
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
			_ = cmd.Process.Signal(sig) // it may just have ended
		case err := <-ended:
			return exitCode(cmd.ProcessState, err)
		}
	}
}

// start starts a command in the group's birthplace, and beside it on kernels without clone3(2).
func (g *Group) start(command func() *exec.Cmd) (*exec.Cmd, error) {
	dir, err := g.OpenUnified()
	if err != nil {
		return nil, err
	}
	defer dir.Close() // nil is an error that does not matter
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

// exitCode returns the code of a program in the family's terms.
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
