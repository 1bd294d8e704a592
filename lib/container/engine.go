// Package container composes the parts: it does in one process what the pipe of tools does in four, and
// what comes after: stop, start, restart, rm, exec, inspect and ps. It knows no option of its own where
// a part has it, and keeps no state: all that it needs stands in the documents and files of the parts.
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
	"github.com/weikeit/mydocker/lib/network"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/spawn"
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
	spawn  *spawn.Runtime
}

// New returns the engine of the state directory. warn tells the user of what is no error but perhaps
// not meant. Nothing is made.
func New(dir state.Dir, warn func(format string, args ...any)) *Engine {
	e := &Engine{
		Dir: dir, Images: image.Open(dir), Network: network.New(dir),
		rootfs: rootfs.New(dir), cgroup: cgroup.New(dir), spawn: spawn.New(dir),
	}
	e.rootfs.Warn = warn
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
	return e.Dir.Load(id)
}

// errRunning says that a container is running where it must not.
func errRunning(hint string) error { return fmt.Errorf("it is running: %s", hint) }
