package cgroup

import (
	"context"
	"fmt"

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
	g.base = m.base
	return g, nil
}

// Create is the stage that makes the container's group with the limits, those included that the
// document has already, and writes linux.cgroupsPath and linux.resources.
func (m *Manager) Create(l Limits) spec.Stage {
	return func(_ context.Context, s *spec.Spec) error {
		if err := l.checkValues(); err != nil {
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
		more, err := annotatedDevices(s)
		if err != nil {
			return err
		}
		r.Devices = append(withDefaultDevices(r.Devices), more...)
		l.merge(&r)
		undo, err := g.create(&r)
		if err != nil {
			return err
		}
		if err := s.AddRelease(m.dir.Env(), "md-cgroup", "delete", id); err != nil {
			undo()
			return err
		}
		s.LinuxPart().CgroupsPath = g.Path
		s.LinuxPart().Resources = &r
		return nil
	}
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
func Apply(_ context.Context, s *spec.Spec) error {
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
	_, err = g.create(r)
	return err
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
