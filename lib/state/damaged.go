package state

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/spec"
)

// LoadDamaged returns container id with a new document in place of the lost or torn one. The id is enough to end the
// container and to release everything it has. The document has no restart policy and no stop signal.
func (d Dir) LoadDamaged(id string) (*Container, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	s := spec.New(id)
	s.Annotate(spec.AnnotationName, d.NameOf(id))
	s.LinuxPart().CgroupsPath = CgroupPath(id)
	for _, tool := range [][]string{{"md-rootfs", "umount"}, {"md-cgroup", "delete"}, {"md-net", "detach"}} {
		if err := s.AddRelease(d.Env(), tool[0], tool[1], id); err != nil {
			return nil, err
		}
	}
	monitored, done := d.MonitorBytes()
	defer done()
	c := &Container{ID: id, Spec: s}
	d.fill(c, monitored)
	return c, nil
}

// LoadAnyway is [Dir.Load] for operations that must work on every container. damaged is the reason why the document
// cannot be read, if so ([Dir.LoadDamaged]). A container without a document counts if it is kept or runs.
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

// Torn returns the records of container id that exist and cannot be read, with the reason, in order.
func (d Dir) Torn(id string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		checks := []struct {
			path string
			read func() error
		}{
			{d.Config(id), func() error { _, err := readSpec(d.Config(id)); return err }},
			{filepath.Join(d.Bundle(id), RootfsFile), func() error {
				return ReadJSON(filepath.Join(d.Bundle(id), RootfsFile), &struct{}{})
			}},
			{filepath.Join(d.Bundle(id), NetFile), func() error { _, err := d.ReadNet(id); return err }},
			{filepath.Join(d.Bundle(id), SpawnFile), func() error { _, err := d.ReadSpawn(id); return err }},
			{filepath.Join(d.Runtime(id), RunFile), func() error { _, err := d.ReadRun(id); return err }},
		}
		for _, c := range checks {
			err := c.read()
			if errors.Is(err, fs.ErrNotExist) && (c.path != d.Config(id) || !d.Kept(id)) {
				err = nil
			}
			if err != nil && !yield(c.path, err) {
				return
			}
		}
	}
}

// RewriteRun replaces the torn run file of a running container.
func (d Dir) RewriteRun(id string) error {
	unlock, err := d.Lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := d.ReadRun(id); err == nil {
		return nil // another process was faster
	}
	look := d.Look(id)
	if look.Program != Alive || look.Run.Init.PID == 0 {
		return fmt.Errorf("find the processes of container %s: not visible in this pid namespace", id)
	}
	return WriteOver(filepath.Join(d.Runtime(id), RunFile), func(path string) error { return WriteVolatile(path, look.Run) })
}
