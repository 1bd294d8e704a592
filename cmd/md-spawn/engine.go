package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/bundle"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// engine holds the options before the command, as container engines give them to an OCI runtime.
type engine struct {
	root    string
	log     string
	format  string
	systemd bool
}

// globals returns those options.
func (e *engine) globals() []cli.Global {
	word := func(p *string) func(string) error { return func(w string) error { *p = w; return nil } }
	return []cli.Global{
		{Name: "root", Word: true, Help: "Keep the state of containers in this directory (bundles/ below MYDOCKER_RUN)", Set: word(&e.root)},
		{Name: "log", Word: true, Help: "Also write errors to this file", Set: word(&e.log)},
		{Name: "log-format", Word: true, Help: "text or json", Set: word(&e.format)},
		{Name: "systemd-cgroup", Help: "The document names control groups as systemd does: slice:prefix:name", Set: func(w string) error {
			e.systemd = w != "false"
			return nil
		}},
		{Name: "rootless", Word: true, Help: "true is refused: it needs root", Set: func(w string) error {
			if w == "true" {
				return errors.New("--rootless: containers without root are not supported")
			}
			return nil
		}},
	}
}

func (e *engine) bundles() *bundle.Store {
	root := e.root
	if root == "" {
		if dir, err := state.FromEnv(); err == nil {
			root = filepath.Join(dir.Run, bundle.Dir)
		}
	}
	s := bundle.New(root, e.systemd)
	s.Warn = func(format string, args ...any) { cli.Warn(os.Stderr, "md-spawn", format, args...) }
	return s
}

// has reports whether arg is a container of the engine: with --root, every argument is.
func (e *engine) has(arg string) bool { return e.root != "" || e.bundles().Has(arg) }

// with calls do with a container of the engine, and reports its error.
func (e *engine) with(id string, do func(*bundle.Container) error) error {
	b, err := e.bundles().Load(id)
	if err == nil {
		err = do(b)
	}
	return e.report(id, err)
}

// report writes an error to the engine's log: engines show its last line to their users.
func (e *engine) report(id string, err error) error {
	var status cli.Status
	if err == nil || errors.As(err, &status) {
		return err
	}
	err = forEngines(err)
	if e.log != "" {
		if file, ferr := os.OpenFile(e.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); ferr == nil {
			defer file.Close()
			line := fmt.Appendf(nil, "level=error msg=%q", err.Error())
			if e.format == "json" {
				line, _ = json.Marshal(map[string]string{"level": "error", "msg": err.Error(), "time": time.Now().Format(time.RFC3339Nano)})
			}
			_, _ = file.Write(append(line, '\n'))
		}
	}
	return cli.About(id, err)
}

// errNotRunning has the words that containerd looks for: it then takes a kill of an ended container for a success.
var errNotRunning = errors.New("container not running")

// forEngines gives errors the words of runc that engines look for: docker and podman turn those about a program into exit
// codes 127 and 126.
func forEngines(err error) error {
	if errors.Is(err, spawn.ErrNotRunning) {
		return errNotRunning
	}
	var e *spawn.Error
	if !errors.As(err, &e) || !e.Exec {
		return err
	}
	worded := *e
	if e.Errno == syscall.ENOENT {
		worded.Text += ": executable file not found in $PATH"
	}
	return &worded
}

func (e *engine) run(ctx context.Context, std *cli.IO, c *run) error {
	if len(c.Args) != 1 {
		return cli.Usagef("run needs one id: md-spawn run --bundle DIR ID")
	}
	dir := c.Bundle
	if dir == "" {
		dir = "."
	}
	o := bundle.RunOptions{Detach: c.Detach, Keep: c.Keep, Streams: spawn.Connect(std.In, std.Out, std.Err, true, true)}
	code, err := e.bundles().Run(ctx, c.Args[0], dir, c.CreateFlags, o)
	if err == nil && code != 0 {
		return cli.Status(code)
	}
	return e.report(c.Args[0], err)
}

func (e *engine) exec(ctx context.Context, std *cli.IO, c *execute) error {
	id := c.Target.Words[0]
	return e.with(id, func(b *bundle.Container) error {
		proc, err := c.process(b.Spec(), b.PID())
		if err != nil {
			return err
		}
		code, err := b.Exec(ctx, proc, c.ExecFlags, c.Detach, spawn.Connect(std.In, std.Out, std.Err, proc.Terminal, true))
		if err == nil && code != 0 {
			err = cli.Status(code)
		}
		return err
	})
}

// process returns the process in the file of --process, or the one of the container's document, changed by the other
// options.
func (c *execute) process(s *spec.Spec, pid int) (*specs.Process, error) {
	if c.Process != "" {
		data, err := linux.ReadInput(c.Process, spec.MaxSize)
		if err != nil {
			return nil, err
		}
		proc := &specs.Process{}
		if err := json.Unmarshal(data, proc); err != nil {
			return nil, fmt.Errorf("read %s: %w", c.Process, err)
		}
		if c.TTY != nil {
			proc.Terminal = *c.TTY
		}
		return proc, nil
	}
	_, args, err := c.Split()
	if err != nil {
		return nil, err
	}
	if c.Cwd != "" {
		c.Workdir = c.Cwd
	}
	proc, err := program.Exec(s, pid, c.ExecOptions, args)
	if err != nil {
		return nil, err
	}
	proc.NoNewPrivileges = proc.NoNewPrivileges || c.NoNewPrivs
	proc.User.AdditionalGids = append(proc.User.AdditionalGids[:len(proc.User.AdditionalGids):len(proc.User.AdditionalGids)], c.AdditionalGids...)
	if len(c.Cap) > 0 {
		caps := specs.LinuxCapabilities{}
		if proc.Capabilities != nil {
			caps = *proc.Capabilities
		}
		for _, set := range []*[]string{&caps.Bounding, &caps.Effective, &caps.Permitted} {
			*set = append((*set)[:len(*set):len(*set)], c.Cap...)
		}
		proc.Capabilities = &caps
	}
	return proc, nil
}

// remove deletes a container of the engine. With force, a missing one is no error.
func (e *engine) remove(ctx context.Context, id string, force bool) error {
	err := e.with(id, func(b *bundle.Container) error { return b.Delete(ctx, force) })
	if force && errors.Is(err, bundle.ErrNotFound) {
		return nil
	}
	return err
}

func printJSON(out io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(cli.Screen(out), "%s\n", data)
	}
	return err
}
