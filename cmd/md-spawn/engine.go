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

// engine is who calls us as its OCI runtime: the options that it gives before the command.
type engine struct {
	root    string
	log     string
	format  string
	systemd bool
}

// globals are the options before the command that container engines give to an OCI runtime.
func (e *engine) globals() []cli.Global {
	word := func(p *string) func(string) error { return func(w string) error { *p = w; return nil } }
	return []cli.Global{
		{Name: "root", Word: true, Help: "Keep the state of containers in this directory (bundles/ below MYDOCKER_RUN)", Set: word(&e.root)},
		{Name: "log", Word: true, Help: "Write errors to this file, too", Set: word(&e.log)},
		{Name: "log-format", Word: true, Help: "text or json", Set: word(&e.format)},
		{Name: "systemd-cgroup", Help: "Control groups are named slice:prefix:name, as systemd does", Set: func(w string) error {
			e.systemd = w != "false"
			return nil
		}},
		{Name: "rootless", Word: true, Help: "true is refused: it needs root", Set: func(w string) error {
			if w == "true" {
				return errors.New("--rootless: containers without root are not possible")
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
	return bundle.New(root, e.systemd)
}

// has reports whether an argument means a container of the engine's: with --root they all do.
func (e *engine) has(arg string) bool { return e.root != "" || e.bundles().Has(arg) }

// with does something to a container of the engine's.
func (e *engine) with(id string, do func(*bundle.Container) error) error {
	b, err := e.bundles().Load(id)
	if err == nil {
		err = do(b)
	}
	return e.told(id, err)
}

// told writes an error to the engine's log, whose last line is what it shows its user.
func (e *engine) told(id string, err error) error {
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

// errNotRunning is what containerd looks for: whoever kills what has just ended is told so, and not of a failure.
var errNotRunning = errors.New("container not running")

// forEngines words errors as runc does where engines look for the words: docker and podman make 127 and 126 of those
// about a program.
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
		return cli.Usagef("want one id: md-spawn run --bundle DIR ID")
	}
	bundle := c.Bundle
	if bundle == "" {
		bundle = "."
	}
	streams := spawn.Connect(std.In, std.Out, std.Err, true, true)
	code, err := e.bundles().Run(ctx, c.Args[0], bundle, c.CreateFlags, c.Detach, c.Keep, streams)
	if err == nil && code != 0 {
		return cli.Status(code)
	}
	return e.told(c.Args[0], err)
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

// process returns the process of the file that --process names, or that of the container's document changed by the
// other options.
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

// remove deletes a container of the engine's. With force, one that is not there is gone already.
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
