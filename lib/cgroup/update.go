package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spec"
)

// Set writes the limits of r to an existing cgroup and leaves the others unchanged. If the kernel refuses
// one, Set restores those that it wrote before.
func (g *Group) Set(r *specs.LinuxResources) error {
	if !g.Exists() {
		return fmt.Errorf("limit cgroup %s: %w", g.Path, fs.ErrNotExist)
	}
	_, err := g.set(r)
	return err
}

func (g *Group) set(r *specs.LinuxResources) (undo func() error, err error) {
	p, err := makePlan(g.trees, thisHost(), r, g.current)
	if err != nil {
		return nil, err
	}
	if err := g.enable(p); err != nil {
		return nil, err
	}
	var old []step
	undo = func() error {
		var errs []error
		for _, s := range slices.Backward(old) {
			errs = append(errs, g.step(s))
		}
		return errors.Join(errs...)
	}
	for _, s := range p.steps {
		before := s
		before.value = g.oldValue(s)
		if err := g.step(s); err != nil {
			return nil, errors.Join(err, undo())
		}
		if before.value != "" {
			old = append(old, before)
		}
	}
	return undo, g.limitDevices(p)
}

// Update sets the given limits in the document, and in its cgroup if that exists. undo restores the
// previous limits of the cgroup.
func (g *Group) Update(s *spec.Spec, l Limits) (undo func() error, err error) {
	var fresh, all specs.LinuxResources
	part := s.LinuxPart()
	if part.Resources != nil {
		all = *part.Resources
	}
	if m := all.Memory; limited(l.MemorySwap) && l.Memory == nil && m != nil {
		l.Memory = (*Size)(m.Limit) // the limit of memory plus swap includes it
	}
	if err := l.Check(); err != nil {
		return nil, err
	}
	if err := errors.Join(l.merge(&fresh), l.merge(&all)); err != nil {
		return nil, err
	}
	undo = func() error { return nil }
	if g.Exists() {
		undo, err = g.set(&fresh)
	}
	part.Resources = &all
	return undo, err
}
