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

// base is the parent of the cgroups of all containers, which are named by container id.
const base = "/mydocker"

// Manager creates and removes the cgroups of containers.
type Manager struct {
	dir  state.Dir
	base string
}

// New returns a manager for the containers of a state directory.
func New(dir state.Dir) *Manager { return &Manager{dir: dir, base: base} }

// Open returns the cgroup of container id.
func (m *Manager) Open(id string) (*Group, error) {
	if err := state.CheckID(id); err != nil {
		return nil, err
	}
	g, err := Open(m.base + "/" + id)
	if err != nil {
		return nil, err
	}
	g.base, g.stateMark = m.base, m.dir.Mark()
	return g, nil
}

// Create is the stage that creates the container's cgroup with the limits of the options and of the
// document. It sets linux.cgroupsPath, linux.resources and the cgroup entry of linux.namespaces.
func (m *Manager) Create(o Options) spec.Stage {
	return func(_ context.Context, s *spec.Spec) error {
		if err := o.checkValues(); err != nil {
			return err
		}
		rules, err := o.rules(s)
		if err != nil {
			return err
		}
		id := s.ID()
		if err := state.CheckID(id); err != nil {
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
			g.markPrepared() // the first stage; the document may never be run
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

// withNamespace adds a cgroup namespace on hosts with v2 only, as docker does: the container sees its own cgroup as the
// root. On hosts with v1 the container sees the host's paths.
func (g *Group) withNamespace(list []specs.LinuxNamespace) []specs.LinuxNamespace {
	given := slices.ContainsFunc(list, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.CgroupNamespace })
	if given || len(g.trees) != 1 || g.trees[0].version != 2 {
		return list
	}
	return append(list, specs.LinuxNamespace{Type: specs.CgroupNamespace})
}

// Make creates a standalone cgroup with the limits. Programs are added to it one by one.
func (m *Manager) Make(l Limits, id string) error {
	_, unlock, err := m.createStandalone(l, id)
	if err != nil {
		return err
	}
	unlock()
	return nil
}

// createStandalone creates a standalone cgroup and returns it locked.
func (m *Manager) createStandalone(l Limits, id string) (g *Group, unlock func(), err error) {
	if err := l.checkValues(); err != nil {
		return nil, nil, err
	}
	r, err := l.Resources()
	if err != nil {
		return nil, nil, err
	}
	r.Devices = nil // programs of the host keep their devices
	if unlock, err = m.lockGroup(id); err != nil {
		return nil, nil, err
	}
	g, err = m.Open(id)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	if err := g.createNew(r); err != nil {
		unlock()
		return nil, nil, err
	}
	g.markStandalone()
	return g, unlock, nil
}

// createNew is create for a cgroup that must not exist.
func (g *Group) createNew(r *specs.LinuxResources) error {
	if g.Exists() {
		return fmt.Errorf("create cgroup %s: %w", g.Path, fs.ErrExist)
	}
	_, err := g.create(r)
	return err
}

// Delete removes the cgroup of container id from every hierarchy. It waits up to 2 s for the last
// process to end. It kills nothing and is idempotent.
func (m *Manager) Delete(ctx context.Context, id string) error {
	g, err := m.Open(id)
	if err != nil {
		return err
	}
	return g.Remove(ctx)
}

// Apply creates the cgroup of a document with its limits, for a restarted container and for documents of
// other tools. It is idempotent. A document with limits but without linux.cgroupsPath gets /mydocker/ID;
// one without either gets no cgroup: the result is nil.
//
// mark identifies the container's state directory ([state.Dir.Mark]).
func Apply(s *spec.Spec, mark string) (*Group, error) {
	if s.Linux == nil || (s.Linux.CgroupsPath == "" && s.Linux.Resources == nil) {
		return nil, nil
	}
	if s.Linux.CgroupsPath == "" {
		id, err := state.EnsureID(s)
		if err != nil {
			return nil, err
		}
		s.Linux.CgroupsPath = base + "/" + id
	}
	g, err := Open(s.Linux.CgroupsPath)
	if err != nil {
		return nil, err
	}
	r := s.Linux.Resources
	if r != nil && len(r.Devices) > 0 {
		complete := *r
		complete.Devices = withDefaultDevices(r.Devices)
		r = &complete
	}
	g.stateMark = mark
	_, err = g.create(r)
	return g, err
}

// OOMKills returns how many processes of the document's cgroup the OOM killer has killed.
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
