package spawn

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// insideHooks is a kind of hook that runs in the container's namespaces (runtime-spec, config.md "POSIX-platform Hooks").
type insideHooks string

const (
	createContainer insideHooks = "createContainer" // its path is the host's
	startContainer  insideHooks = "startContainer"  // its path is the container's
)

// of returns the hooks of this kind, and the status of the container when they run.
func (h insideHooks) of(s *spec.Spec) ([]specs.Hook, specs.ContainerState) {
	switch {
	case s.Hooks == nil:
		return nil, ""
	case h == startContainer:
		return s.Hooks.StartContainer, specs.StateCreated
	}
	return s.Hooks.CreateContainer, specs.StateCreating
}

// RunStartHooks runs the startContainer hooks of a created container, whose first process is pid. It stops at the first
// that fails.
func RunStartHooks(ctx context.Context, s *spec.Spec, state func(specs.ContainerState, int) ([]byte, error), pid int) error {
	return runInside(ctx, s, startContainer, state, pid)
}

// runInside runs the hooks of a kind, each as a process in the namespaces that process pid has by now, with the state on
// standard input. It stops at the first that fails.
func runInside(ctx context.Context, s *spec.Spec, kind insideHooks, state func(specs.ContainerState, int) ([]byte, error), pid int) error {
	hooks, status := kind.of(s)
	if len(hooks) == 0 {
		return nil
	}
	text, err := state(status, pid)
	if err != nil {
		return err
	}
	for _, hook := range hooks {
		if err := runHookInside(ctx, s, kind, hook, text, pid); err != nil {
			return fmt.Errorf("%s hook %s: %w", kind, hook.Path, err)
		}
	}
	return nil
}

func runHookInside(ctx context.Context, s *spec.Spec, kind insideHooks, hook specs.Hook, state []byte, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, spec.HookTimeout(hook))
	defer cancel()
	pidfd, err := linux.PidfdOpen(pid)
	if err != nil {
		return err
	}
	defer pidfd.Close()
	launchOf := hookLaunch
	if kind == startContainer {
		launchOf = innerHookLaunch
	}
	l, err := launchOf(s, hook, pidfd, pid)
	if err != nil {
		return err
	}
	l.Stdio = hookPipes
	c, err := l.start(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer c.closeStreams()
	go func() {
		_, _ = c.input.Write(state) // a hook that does not read it is no error
		c.input.Close()
	}()
	var said bytes.Buffer
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = said.ReadFrom(c.outputs[0])
	}()
	select {
	case <-c.ended:
	case <-ctx.Done():
		c.Signal(syscall.SIGKILL)
		<-c.ended
		return fmt.Errorf("killed: %w", context.Cause(ctx))
	}
	select {
	case <-drained:
	case <-time.After(time.Second): // a process that the hook left behind holds the stream open
	}
	if code := exitCode(c.status); code != 0 {
		return fmt.Errorf("exit status %d: %s", code, strings.TrimSpace(said.String()))
	}
	return nil
}

// innerHookLaunch prepares a hook whose program is the image's: it gets the rights of the container's own program.
func innerHookLaunch(s *spec.Spec, hook specs.Hook, pidfd *os.File, pid int) (*Launch, error) {
	proc := *s.Process
	proc.Args, proc.Env, proc.Cwd, proc.Terminal = hookArgs(hook), hook.Env, "/", false
	group, err := openGroup(s)
	if err != nil {
		return nil, err
	}
	l, err := enter(s, pid, pidfd, &proc, group)
	if err == nil {
		l.path = hook.Path
	}
	return l, err
}

func hookArgs(hook specs.Hook) []string {
	if len(hook.Args) == 0 {
		return []string{hook.Path}
	}
	return hook.Args
}

// hookLaunch prepares a hook whose program is the host's.
func hookLaunch(s *spec.Spec, hook specs.Hook, pidfd *os.File, pid int) (*Launch, error) {
	l := &Launch{}
	if err := l.openNamespaces(s, pid); err != nil {
		return nil, err
	}
	own, err := l.openUsersOf(s, pid)
	if err != nil {
		return nil, err
	}
	l.compile = func(fds descriptors) (*plan, error) {
		fds.pidfd = int(pidfd.Fd())
		p := newProgram(&specs.Process{}, nil, fds, own)
		p.die = true
		x := newPlan(p)
		p.begin(x)
		x.Doing("enter the container")
		l.joinAll(x, fds)
		p.restoreFiles(x)
		p.enterUsers(x)
		x.name, x.lookup = hook.Path, x.Len()
		x.Doing("execute " + hook.Path)
		x.Access(hook.Path)
		x.syncPoint(ready)
		x.Execve(hook.Path, x.Words(hookArgs(hook)), x.Words(hook.Env))
		return x, x.Err()
	}
	return l, nil
}
