package state

import (
	"errors"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/spec"
)

// LoadDamaged returns container id with a document of our own making in place of the one that is lost or torn: enough
// to end the container and to take all of it away, for which the id is enough. It has no restart policy, and no signal
// of its own to stop by.
func (d Dir) LoadDamaged(id string) (*Container, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	s := spec.New(id)
	s.Annotate(spec.AnnotationName, d.NameOf(id))
	s.LinuxPart().CgroupsPath = GroupPath(id)
	for _, tool := range [][]string{{"md-rootfs", "umount"}, {"md-cgroup", "delete"}, {"md-net", "detach"}} {
		if err := s.AddRelease(d.Env(), tool[0], tool[1], id); err != nil {
			return nil, err
		}
	}
	attended, done := d.Attended()
	defer done()
	c := &Container{ID: id, Spec: s}
	d.fill(c, attended)
	return c, nil
}

// LoadAnyway is [Dir.Load] for what must work on every container: damaged says why its document cannot be read, where
// that is so ([Dir.LoadDamaged]). A container without a document counts if it was to be kept, or runs.
func (d Dir) LoadAnyway(id string) (c *Container, damaged, err error) {
	c, damaged = d.Load(id)
	if damaged == nil || CheckID(id) != nil {
		return c, nil, damaged
	}
	if errors.Is(damaged, ErrNotFound) && (d.gone(id) || !d.Kept(id) && d.Look(id).Program == Dead) {
		return nil, nil, damaged
	}
	c, err = d.LoadDamaged(id)
	return c, damaged, err
}

// NameOf returns the name of container id as the claim on it says, the id where it has none.
func (d Dir) NameOf(id string) string {
	entries, _ := list(d.Names())
	for _, e := range entries {
		if Holder(filepath.Join(d.Names(), e.Name())) == id {
			return e.Name()
		}
	}
	return id
}
