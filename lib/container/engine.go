// Package container composes the parts: it does in one process what the pipe of tools does in four, and
// what comes after: stop, start, restart, rm, exec, inspect and ps. It knows no option of its own where
// a part has it, and keeps no state: all that it needs stands in the documents and files of the parts.
//
// # What a run costs
//
// `mydocker run --rm --net none busybox true`: each part's best of 72 runs, in milliseconds, by uprobes at its first and
// last function. The machine was busy with other work, so that only their proportions mean something;
// scripts/bench.d/bench.txt has the whole on quiet cores. Beside it stand the system calls, which are the same each
// time; scripts/test/95-speed.bats bounds them.
//
//	 ms   calls  what it buys
//	3.4     32  this program again, from a read-only mount that no container can write to (lib/linux/guard)
//	4.9     35  Go's start 3.1, of which compression and digests initialise 0.4; signals caught, so that what was made
//	             is undone, 0.6; options 1.2, for which kong makes a model of all flags by reflection
//	0.6     83  the note of who has the container; beside it the search for what was left behind
//	0.6     62  image resolved, bundle made, overlay mounted
//	0.4     57  user looked up in the image; hosts, hostname, resolv.conf
//	1.5    130  control groups in nine hierarchies (v1)
//	1.3     62  network namespace with lo
//	0.9     26  document encoded and registered: encoding/json makes an encoder for each type once, 0.5
//	1.2    144  document turned into a list of system calls (lib/spawn), devices allowed
//	4.1    304  clone with five namespaces, and the list: mounts, devices, masks, filter, credentials, execve
//	2.1    195  the program and its end with that of its namespaces 1.4; all released 0.7: network, control groups
//	             beside it, unmount, bundle
//
// Beside 500 containers that run, the same takes about 12 ms of processor time more, nearly all of it the kernel's:
// doc/speed.md.
//
// Taken away so far: a second Go runtime inside the container (8.1), six fsyncs of what a crash may lose (2.9; what
// is kept is on the disk before its program starts, state.Dir.Persist), mount points in each container's own layer
// (the ground, lib/rootfs; on ext4 a file or directory costs 0.02 to 0.7 to make), and image
// code in md-spawn (0.4). The control groups go beside the rest of the release (0.7). Whether somebody still has each of 500
// containers in hands is one system call a container, and not six (7 of 8.6; state.Dir.Attend).
//
// An exec costs the first two parts as well, about 320 calls in all.
package container

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/monitor"
	"github.com/weikeit/mydocker/lib/network"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Engine works on the containers of one state directory.
type Engine struct {
	Dir     state.Dir
	Images  *image.Store
	Network *network.Manager

	rootfs *rootfs.Manager
	cgroup *cgroup.Manager
	spawn  *monitor.Runtime
}

// New returns the engine of the state directory. warn tells the user of what is no error but perhaps
// not meant. Nothing is made.
func New(dir state.Dir, warn func(format string, args ...any)) *Engine {
	e := &Engine{
		Dir: dir, Images: image.Open(dir), Network: network.New(dir),
		rootfs: rootfs.New(dir), cgroup: cgroup.New(dir), spawn: monitor.New(dir),
	}
	e.rootfs.Warn, e.spawn.Warn = warn, warn
	e.spawn.Release = e.release
	return e
}

// release is what the document's poststop hooks do, without a process for each of ours. The control groups, which
// nothing else is about, go meanwhile.
func (e *Engine) release(ctx context.Context, s *spec.Spec) error {
	if s.Hooks == nil {
		return nil
	}
	id := s.ID()
	ours := map[string]func(context.Context, string) error{
		"md-net": e.Network.Detach, "md-cgroup": e.cgroup.Delete, "md-rootfs": e.rootfs.Unmount,
	}
	var (
		errs   []error
		all    sync.WaitGroup
		groups error
	)
	for _, hook := range s.Hooks.Poststop {
		do, ok := ours[filepath.Base(hook.Path)]
		switch ok = ok && len(hook.Args) == 3 && hook.Args[2] == id; {
		case ok && filepath.Base(hook.Path) == "md-cgroup":
			all.Go(func() { groups = do(ctx, id) })
		case ok:
			errs = append(errs, do(ctx, id))
		default:
			errs = append(errs, s.RunHooks(ctx, []specs.Hook{hook}, specs.StateStopped, 0))
		}
	}
	all.Wait()
	return errors.Join(append(errs, groups)...)
}

// Load finds a container by what the user calls it.
func (e *Engine) Load(arg string) (*state.Container, error) {
	id, err := e.Dir.Resolve(arg)
	if err != nil {
		return nil, err
	}
	c, err := e.Dir.Load(id)
	if errors.Is(err, state.ErrNotFound) {
		if c, ok := e.Dir.Prepared(id); ok {
			return c, ErrPrepared
		}
	}
	return c, err
}

// LoadAnyway is [Engine.Load] for what must work on every container, also one whose document is lost or torn: the user is
// told, and the container is known by its id.
func (e *Engine) LoadAnyway(arg string) (*state.Container, error) {
	id, err := e.Dir.Resolve(arg)
	if err != nil {
		return nil, err
	}
	if c, ok := e.Dir.Prepared(id); ok {
		return c, ErrPrepared
	}
	c, damaged, err := e.Dir.LoadAnyway(id)
	if err == nil && damaged != nil {
		e.rootfs.Warn("%v: it is known by its id alone", damaged)
	}
	return c, err
}

// ErrPrepared says that a container has no document here.
var ErrPrepared = errors.New("it is only prepared: run its document with md-spawn, or remove it")

// errRunning says that a container is running where it must not.
func errRunning(hint string) error { return fmt.Errorf("it is running: %s", hint) }
