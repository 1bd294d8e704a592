package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/spec"
)

// ClaimName gives the name to container id. A claim whose container is gone is taken over. One at a
// time: of two who saw the same claim of the dead, the second would take over that of the first.
func (d Dir) ClaimName(name, id string) error {
	if err := CheckName("container", name); err != nil {
		return err
	}
	unlock, err := d.LockObject("names")
	if err != nil {
		return err
	}
	defer unlock()
	path := filepath.Join(d.Names(), name)
	err = Claim(path, id)
	var taken *TakenError
	if errors.As(err, &taken) {
		if holder := d.nameHolder(name); !d.gone(holder) {
			return fmt.Errorf("name %s is taken by container %s", name, holder)
		}
		if err := Release(path, taken.Holder); err != nil {
			return err
		}
		err = Claim(path, id)
	}
	if errors.As(err, &taken) {
		return fmt.Errorf("name %s is taken by container %s", name, taken.Holder)
	}
	return err
}

// nameHolder returns the id of the container that has a name. A claim that is torn is of the one that is called so.
func (d Dir) nameHolder(name string) string {
	path := filepath.Join(d.Names(), name)
	holder := Holder(path)
	if _, err := os.Lstat(path); err != nil || IsID(holder) {
		return holder
	}
	ids, _ := d.IDs()
	for _, id := range ids {
		if s, err := glance(d.Config(id)); err == nil && s.Annotation(spec.AnnotationName) == name {
			return id
		}
	}
	return holder
}

// ReleaseName gives the name of container id back. It is idempotent.
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

// NameOf returns the name of container id as the claim on it says, the id where it has none.
func (d Dir) NameOf(id string) string {
	entries, _ := list(d.Names())
	for _, e := range entries {
		if d.nameHolder(e.Name()) == id {
			return e.Name()
		}
	}
	return id
}
