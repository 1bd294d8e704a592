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

// hookTimeout is the limit of a hook that sets none.
const hookTimeout = 30 * time.Second

// AddRelease adds a release to hooks.poststop, newest first: a tool, which is found beside this program or on the PATH,
// its arguments, and its environment ("K=V").
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

// Sibling returns the path of another of our programs: beside this one, otherwise on the PATH.
func Sibling(tool string) (string, error) {
	if self, err := linux.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), tool)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(tool)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", tool, err)
	}
	return filepath.Abs(path)
}

// Undo runs all of hooks.poststop, even if one fails. A stage undoes the document of a failed pipe, and a runtime that
// of a container that is gone. A release that Ctrl-C has ended before it had its own process group runs again; releases
// are idempotent.
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

// RunHooks runs hooks in order, each with the container's state on its standard input (runtime-spec, config.md
// "POSIX-platform Hooks"). It runs all of them and joins their errors.
func (s *Spec) RunHooks(ctx context.Context, hooks []specs.Hook, status specs.ContainerState, pid int) error {
	if len(hooks) == 0 {
		return nil
	}
	state, err := s.State(status, pid)
	if err != nil {
		return err
	}
	return RunHooks(ctx, hooks, state)
}

// RunHooks runs all hooks in order, each with the state on its standard input, and joins their errors.
func RunHooks(ctx context.Context, hooks []specs.Hook, state []byte) error {
	var errs []error
	for _, hook := range hooks {
		errs = append(errs, RunHook(ctx, hook, state))
	}
	return errors.Join(errs...)
}

// State returns the container's state for hooks (runtime-spec, runtime.md "State").
func (s *Spec) State(status specs.ContainerState, pid int) ([]byte, error) {
	state, err := json.Marshal(specs.State{
		Version: s.Version, ID: s.ID(), Status: status, Pid: pid, Bundle: s.bundle(), Annotations: s.Annotations,
	})
	if err != nil {
		return nil, fmt.Errorf("encode state for hooks: %w", err)
	}
	return state, nil
}

// bundle is the directory of the root file system.
func (s *Spec) bundle() string {
	if s.Root == nil || !filepath.IsAbs(s.Root.Path) {
		return ""
	}
	return filepath.Dir(s.Root.Path)
}

// HookTimeout returns the time limit of a hook.
func HookTimeout(hook specs.Hook) time.Duration {
	if hook.Timeout != nil {
		return time.Duration(*hook.Timeout) * time.Second
	}
	return hookTimeout
}

// RunHook runs one hook with the state, in JSON, on its standard input.
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
		cmd.Env = []string{} // runtime-spec: the hook gets only its own environment
	}
	cmd.Stdin = bytes.NewReader(state)
	// Ctrl-C goes to the terminal's foreground process group: a second one must not end a release.
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
