package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/spec"
)

// ClaimName gives the name to container id. It takes over a claim whose container is gone. The lock serializes this: of
// two processes that see the same stale claim, the second would take over the claim of the first.
func (d Dir) ClaimName(name, id string) error {
	if err := CheckName("container", name); err != nil {
		return err
	}
	unlock, err := d.LockObject("names")
	if err != nil {
		return err
	}
	defer unlock()
	// dead asks for the name's holder, because a torn claim has none.
	dead := func(string) bool { return d.gone(d.nameHolder(name)) }
	err = ClaimFromDead(filepath.Join(d.Names(), name), id, dead)
	if taken := (*TakenError)(nil); errors.As(err, &taken) {
		return fmt.Errorf("name %s is taken by container %s", name, d.nameHolder(name))
	}
	return err
}

// nameHolder returns the id of the container that has a name. A torn claim belongs to the container whose document has
// the name.
func (d Dir) nameHolder(name string) string {
	path := filepath.Join(d.Names(), name)
	holder := Holder(path)
	if _, err := os.Lstat(path); err != nil || IsID(holder) {
		return holder
	}
	ids, _ := d.IDs()
	for _, id := range ids {
		if s, err := readGlance(d.Config(id)); err == nil && s.Annotation(spec.AnnotationName) == name {
			return id
		}
	}
	return holder
}

// ReleaseName releases the name of container id. It is idempotent.
func (d Dir) ReleaseName(name, id string) error {
	if CheckName("container", name) != nil {
		return nil
	}
	unlock, err := d.LockObject("names")
	if err != nil {
		return err
	}
	defer unlock()
	path := filepath.Join(d.Names(), name)
	if _, err := os.Lstat(path); err == nil && !IsID(Holder(path)) && d.nameHolder(name) == id {
		return os.RemoveAll(path)
	}
	return Release(path, id)
}

// NameOf returns the name that container id has claimed, its id if there is none.
func (d Dir) NameOf(id string) string {
	entries, _ := list(d.Names())
	for _, e := range entries {
		if d.nameHolder(e.Name()) == id {
			return e.Name()
		}
	}
	return id
}
