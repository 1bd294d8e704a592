package spec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// hookTimeout bounds a hook that names no bound itself.
const hookTimeout = 30 * time.Second

// AddRelease adds a release to hooks.poststop, newest first: the tool, which stands beside this
// program or on the PATH, its arguments, and the environment that it needs ("K=V").
func (s *Spec) AddRelease(env []string, tool string, args ...string) error {
	path, err := Sibling(tool)
	if err != nil {
		return err
	}
	hook := specs.Hook{Path: path, Args: append([]string{tool}, args...), Env: env}
	if s.Hooks == nil {
		s.Hooks = &specs.Hooks{}
	}
	s.Hooks.Poststop = append([]specs.Hook{hook}, s.Hooks.Poststop...)
	return nil
}

// Sibling returns the path of another program of ours: beside this one, or else on the PATH.
func Sibling(tool string) (string, error) {
	self, err := linux.Executable()
	if err == nil {
		path := filepath.Join(filepath.Dir(self), tool)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(tool)
	if err != nil {
		return "", fmt.Errorf("find %s beside this program or on the PATH: %w", tool, err)
	}
	return filepath.Abs(path)
}

// Undo runs hooks.poststop: all of them, even where one fails. It is what a stage does with the
// document of a pipe that failed, and a runtime when the container is gone. Releases are idempotent: one
// that a Ctrl-C has met on its way into its own process group runs again.
func (s *Spec) Undo(ctx context.Context) error {
	if s.Hooks == nil {
		return nil
	}
	var errs []error
	for _, hook := range s.Hooks.Poststop {
		err := s.RunHooks(ctx, []specs.Hook{hook}, specs.StateStopped, 0)
		if interrupted(err) {
			err = s.RunHooks(ctx, []specs.Hook{hook}, specs.StateStopped, 0)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// interrupted reports whether a hook was ended by Ctrl-C.
func interrupted(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGINT
}

// RunHooks runs hooks in order, each with the container's state on its standard input (runtime-spec,
// config.md "POSIX-platform Hooks"). All are run; the errors come together.
func (s *Spec) RunHooks(ctx context.Context, hooks []specs.Hook, status specs.ContainerState, pid int) error {
	if len(hooks) == 0 {
		return nil
	}
	state, err := s.State(status, pid)
	if err != nil {
		return err
	}
	var errs []error
	for _, hook := range hooks {
		errs = append(errs, RunHook(ctx, hook, state))
	}
	return errors.Join(errs...)
}

// State returns the container's state as hooks get it (runtime-spec, runtime.md "State").
func (s *Spec) State(status specs.ContainerState, pid int) ([]byte, error) {
	state, err := json.Marshal(specs.State{
		Version: s.Version, ID: s.ID(), Status: status, Pid: pid, Bundle: s.bundle(), Annotations: s.Annotations,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the state for hooks: %w", err)
	}
	return state, nil
}

// bundle is the directory of the container: the root file system lies in it.
func (s *Spec) bundle() string {
	if s.Root == nil || !filepath.IsAbs(s.Root.Path) {
		return ""
	}
	return filepath.Dir(s.Root.Path)
}

// HookTimeout returns how long a hook may take.
func HookTimeout(hook specs.Hook) time.Duration {
	if hook.Timeout != nil {
		return time.Duration(*hook.Timeout) * time.Second
	}
	return hookTimeout
}

// RunHook runs one hook with the state, a JSON document, on its standard input.
func RunHook(ctx context.Context, hook specs.Hook, state []byte) error {
	ctx, cancel := context.WithTimeout(ctx, HookTimeout(hook))
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, hook.Path)
	if len(hook.Args) > 0 {
		cmd.Args = hook.Args
	}
	cmd.Env = hook.Env
	if cmd.Env == nil {
		cmd.Env = []string{} // the specification: the hook's own environment only
	}
	cmd.Stdin = bytes.NewReader(state)
	// Ctrl-C goes to all of the terminal's foreground group: a second one must not stop what undoes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			return fmt.Errorf("hook %s: %w: %s", hook.Path, err, said)
		}
		return fmt.Errorf("hook %s: %w", hook.Path, err)
	}
	return nil
}
