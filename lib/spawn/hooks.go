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

// RunInside runs hooks that belong into the container (runtime-spec, config.md "POSIX-platform Hooks"): each is
// a process of its own in the namespaces that the child has by now, with the state on standard input. The first
// that fails ends it.
func RunInside(ctx context.Context, s *spec.Spec, which string, hooks []specs.Hook, state []byte, pid int) error {
	for _, hook := range hooks {
		if err := runHookInside(ctx, s, which, hook, state, pid); err != nil {
			return fmt.Errorf("%s hook %s: %w", which, hook.Path, err)
		}
	}
	return nil
}

func runHookInside(ctx context.Context, s *spec.Spec, which string, hook specs.Hook, state []byte, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, spec.HookTimeout(hook))
	defer cancel()
	pidfd, err := linux.PidfdOpen(pid)
	if err != nil {
		return err
	}
	defer pidfd.Close()
	launchOf := hookLaunch
	if which == "startContainer" {
		launchOf = innerHookLaunch
	}
	theirs, streams, err := Pipes(true)
	if err != nil {
		return err
	}
	streams.Outputs[0].Close() // what it says on standard output is nobody's
	theirs.out.Close()
	theirs.out, streams.Outputs = nil, streams.Outputs[1:]
	defer streams.Close()
	l, err := launchOf(s, hook, pidfd, pid)
	if err != nil {
		theirs.Close()
		return err
	}
	l.Stdio, l.Sync = theirs, func(SyncPoint, int) error { return nil }
	c, err := l.Start()
	if err != nil {
		return err
	}
	go func() {
		_, _ = streams.Input.Write(state) // a hook that reads none is no error
		streams.Input.Close()
	}()
	var said bytes.Buffer
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = said.ReadFrom(streams.Outputs[0])
	}()
	select {
	case <-c.Ended:
	case <-ctx.Done():
		c.Signal(syscall.SIGKILL)
		<-c.Ended
		return fmt.Errorf("killed: %w", context.Cause(ctx))
	}
	select {
	case <-drained:
	case <-time.After(time.Second): // somebody that it left behind holds the stream
	}
	if code := ExitCode(c.status); code != 0 {
		text := strings.TrimSpace(said.String())
		return fmt.Errorf("exit status %d: %s", code, text)
	}
	return nil
}

// innerHookLaunch says how a hook whose program is the image's is started beside the process pid: with the rights of the
// container's own, as whatever else comes from there.
func innerHookLaunch(s *spec.Spec, hook specs.Hook, pidfd *os.File, pid int) (*Launch, error) {
	proc := *s.Process
	proc.Args, proc.Env, proc.Cwd, proc.Terminal = hookArgs(hook), hook.Env, "/", false
	l, err := Enter(s, pid, &proc, pidfd, linux.WindowSize{})
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

// hookLaunch says how a hook whose program is the host's is started beside the process pid.
func hookLaunch(s *spec.Spec, hook specs.Hook, pidfd *os.File, pid int) (*Launch, error) {
	l := &Launch{}
	err := l.openNamespaces(s, pid)
	var own *idMap
	if err == nil {
		own, err = usersOfProcess(s, pid)
	}
	if err != nil {
		return nil, err
	}
	if own != nil {
		l.idMaps = append(l.idMaps, own)
	}
	l.compile = func(fds descriptors) (*plan, error) {
		fds.pidfd = int(pidfd.Fd())
		p := newProgram(&specs.Process{}, linux.WindowSize{}, fds, own)
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
		x.syncPoint(Ready)
		x.Execve(hook.Path, x.Words(hookArgs(hook)), x.Words(hook.Env))
		return x, x.Err()
	}
	return l, nil
}

// RunContainerHooks runs the hooks that belong into the container, where the child waits for them.
func RunContainerHooks(ctx context.Context, s *spec.Spec, m SyncPoint, pid int, state func(specs.ContainerState, int) ([]byte, error)) error {
	which, status, hooks := "createContainer", specs.StateCreating, s.Hooks.CreateContainer
	if m == BeforeProgram {
		which, status, hooks = "startContainer", specs.StateCreated, s.Hooks.StartContainer
	}
	text, err := state(status, pid)
	if err != nil {
		return err
	}
	return RunInside(ctx, s, which, hooks, text, pid)
}

// RuntimeHooks are the hooks that run in our namespaces before the mounts are made.
func RuntimeHooks(s *spec.Spec) []specs.Hook {
	if s.Hooks == nil {
		return nil
	}
	return append(append([]specs.Hook(nil), s.Hooks.Prestart...), s.Hooks.CreateRuntime...) //nolint:staticcheck // still in use
}

// OneLine is an error in a warning.
func OneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
