// Package container composes the parts: it does in one process what the pipe of tools does in four, and also stop,
// start, restart, rm, exec, inspect and ps. Options are those of the parts. It keeps no state of its own: everything is
// in the documents and files of the parts. It prints nothing: it returns rows and errors.
//
// # What a run costs
//
// `mydocker run --rm --net none busybox true`: the best of 72 runs for each part, in milliseconds, measured by uprobes at
// its first and last function. The machine was busy, so only the proportions are meaningful; scripts/bench.d/bench.txt
// has the total on quiet cores. The number of system calls is the same in every run; scripts/test/95-speed.bats bounds
// it.
//
//	 ms   calls  part
//	3.4     32  executing this program again from a read-only mount that no container can write to (lib/linux/guard)
//	4.9     35  start of Go 3.1, of which initialising compression and digests 0.4; signal handlers 0.6; options 1.2:
//	             kong builds a model of all flags by reflection
//	0.6     83  recording the owner; the sweep for orphans runs beside it
//	0.6     62  image resolved, bundle made, overlay mounted
//	0.4     57  user looked up in the image; hosts, hostname, resolv.conf
//	1.5    130  cgroups in nine hierarchies (v1)
//	1.3     62  netns with lo
//	0.9     26  document encoded and recorded: encoding/json builds an encoder for each type once, 0.5
//	1.2    144  document compiled to a plan (lib/spawn), devices allowed
//	4.1    304  clone with five namespaces, and the plan: mounts, devices, masks, filter, credentials, execve
//	2.1    195  the program, its exit and that of its namespaces 1.4; release 0.7: network, cgroups in parallel,
//	             unmount, bundle
//
// With 500 containers running, it takes about 12 ms more CPU time, nearly all in the kernel: doc/speed.md.
//
// Removed so far: a second Go runtime inside the container (8.1), six fsyncs of files that a crash may lose (2.9; a kept
// container is on the disk before its program starts, state.Dir.Persist), mount points in each container's own layer
// (the ground, lib/rootfs; a file or directory on ext4 costs 0.02 to 0.7), and image code in md-spawn (0.4). Cgroups are
// removed in parallel with the rest of the release (0.7). Checking the owner of each of 500 containers takes one system
// call each instead of six (7 of 8.6; state.Dir.MonitorBytes).
//
// An exec has the cost of the first two parts too, about 320 calls in total.
package container

import (
	"context"
	"errors"
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

// New returns the engine of a state directory, and creates nothing. warn prints warnings for the user.
func New(dir state.Dir, warn func(format string, args ...any)) *Engine {
	e := &Engine{
		Dir: dir, Images: image.Open(dir), Network: network.New(dir),
		rootfs: rootfs.New(dir), cgroup: cgroup.New(dir), spawn: monitor.New(dir),
	}
	e.rootfs.Warn, e.spawn.Warn = warn, warn
	e.spawn.Release = e.release
	return e
}

// release runs the document's poststop hooks, our own in this process. Cgroups are removed in parallel, because no other
// hook depends on them.
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

// Load returns the container that arg names: an id, a name, or the beginning of an id.
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

// LoadAnyway is [Engine.Load] for commands that work on every container. If the document is missing or torn, it warns and
// returns a container with only an id.
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
		e.rootfs.Warn("%v: it is known by its id only", damaged)
	}
	return c, err
}

// Errors about the state of a container.
var (
	ErrPrepared = errors.New("container is only prepared: run its document with md-spawn, or remove it")

	errRunning   = errors.New("container is running: stop it first, or remove it by force (-f)")
	errNoCgroup  = errors.New("container has no cgroup of its own")
	errBeingMade = errors.New("container is being created: wait for that, or end the command that creates it")
)
