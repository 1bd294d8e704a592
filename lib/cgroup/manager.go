package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// base holds the groups of all containers, each under its id.
const base = "/mydocker"

// Manager makes and removes the groups of containers.
type Manager struct {
	dir  state.Dir
	base string
}

// New returns a manager whose releases find the state in dir.
func New(dir state.Dir) *Manager { return &Manager{dir: dir, base: base} }

// Open returns the group of container id.
func (m *Manager) Open(id string) (*Group, error) {
	if err := state.CheckID(id); err != nil {
		return nil, err
	}
	g, err := Open(m.base + "/" + id)
	if err != nil {
		return nil, err
	}
	g.base, g.owner = m.base, m.dir.Mark()
	return g, nil
}

// Create is the stage that makes the container's group with the limits, those included that the
// document has already, and writes linux.cgroupsPath, linux.resources and the cgroup entry of
// linux.namespaces.
func (m *Manager) Create(o Options) spec.Stage {
	return func(_ context.Context, s *spec.Spec) error {
		if err := o.checkValues(); err != nil {
			return err
		}
		rules, err := o.rules(s)
		if err != nil {
			return err
		}
		id, err := state.EnsureID(s)
		if err != nil {
			return err
		}
		g, err := m.Open(id)
		if err != nil {
			return err
		}
		r := specs.LinuxResources{}
		if s.Linux != nil && s.Linux.Resources != nil {
			r = *s.Linux.Resources
		}
		r.Devices = slices.Concat(withDefaultDevices(r.Devices), rules)
		if err := o.merge(&r); err != nil {
			return err
		}
		undo, err := g.create(&r)
		if err != nil {
			return err
		}
		if _, err := os.Stat(m.dir.Bundle(id)); errors.Is(err, fs.ErrNotExist) {
			g.markPrepared() // this is the first stage, and may stay the only one
		}
		if err := s.AddRelease(m.dir.Env(), "md-cgroup", "delete", id); err != nil {
			undo()
			return err
		}
		part := s.LinuxPart()
		part.CgroupsPath, part.Resources = g.Path, &r
		part.Namespaces = g.withNamespace(part.Namespaces)
		return nil
	}
}

// withNamespace adds a cgroup namespace, in which the container's own group is the root, where v2 is alone: as
// docker does, v1's hierarchies are seen as they are.
func (g *Group) withNamespace(list []specs.LinuxNamespace) []specs.LinuxNamespace {
	given := slices.ContainsFunc(list, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.CgroupNamespace })
	if given || len(g.trees) != 1 || g.trees[0].version != 2 {
		return list
	}
	return append(list, specs.LinuxNamespace{Type: specs.CgroupNamespace})
}

// Make makes a group that no container has, with the limits: for programs that are put into it one by one.
func (m *Manager) Make(l Limits, id string) error {
	if err := l.checkValues(); err != nil {
		return err
	}
	unlock, err := m.lockGroup(id)
	if err != nil {
		return err
	}
	defer unlock()
	g, err := m.Open(id)
	if err != nil {
		return err
	}
	if g.Exists() {
		return fmt.Errorf("group %s: %w", g.Path, fs.ErrExist)
	}
	r, err := l.Resources()
	if err != nil {
		return err
	}
	r.Devices = nil // a program of the host keeps the host's devices
	if _, err := g.create(r); err != nil {
		return err
	}
	g.markAlone()
	return nil
}

// Delete removes the group of container id from every hierarchy, once the last process in it has
// ended, which is waited for up to 2 s. It kills nothing, and is idempotent.
func (m *Manager) Delete(ctx context.Context, id string) error {
	g, err := m.Open(id)
	if err != nil {
		return err
	}
	return g.Remove(ctx)
}

// Apply makes the group that a document names, with its limits: for a container that starts again,
// and for documents of others. It is idempotent. A document that names no group gets /mydocker/ID
// where it has limits, and else none.
//
// set is the mark of the set of state that the container is of ([state.Dir.Mark]).
func Apply(_ context.Context, s *spec.Spec, set string) error {
	if s.Linux == nil || (s.Linux.CgroupsPath == "" && s.Linux.Resources == nil) {
		return nil
	}
	if s.Linux.CgroupsPath == "" {
		id, err := state.EnsureID(s)
		if err != nil {
			return err
		}
		s.Linux.CgroupsPath = base + "/" + id
	}
	g, err := Open(s.Linux.CgroupsPath)
	if err != nil {
		return err
	}
	r := s.Linux.Resources
	if r != nil && len(r.Devices) > 0 {
		complete := *r
		complete.Devices = withDefaultDevices(r.Devices)
		r = &complete
	}
	g.owner = set
	_, err = g.create(r)
	return err
}

// OOMKills returns how often the kernel has killed a process of the document's group for want of memory.
func OOMKills(s *spec.Spec) uint64 {
	if s.Linux == nil || s.Linux.CgroupsPath == "" {
		return 0
	}
	g, err := Open(s.Linux.CgroupsPath)
	if err != nil {
		return 0
	}
	return g.OOMKills()
}

// Join moves a process into the group that the document names. One that names none leaves it where
// it is.
func Join(s *spec.Spec, pid int) error {
	if s.Linux == nil || s.Linux.CgroupsPath == "" {
		return nil
	}
	g, err := Open(s.Linux.CgroupsPath)
	if err != nil {
		return fmt.Errorf("join process %d: %w", pid, err)
	}
	return g.Add(pid)
}
