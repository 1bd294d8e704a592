package state

import (
	"errors"
	"os"
	"path/filepath"
)

// A rename claims the new name, writes the document, and releases the old name last. So a container always has a name,
// and one with two claims was being renamed by a killed command.

// HalfRenamed returns the ids of the containers that have more than one name.
func (d Dir) HalfRenamed() ([]string, error) {
	entries, err := list(d.Names())
	claims := make(map[string]int)
	var ids []string
	for _, e := range entries {
		holder := Holder(filepath.Join(d.Names(), e.Name()))
		if claims[holder]++; claims[holder] == 2 && IsID(holder) && !d.gone(holder) {
			ids = append(ids, holder)
		}
	}
	return ids, err
}

// ReleaseOtherNames releases all names of container id except one. If the container does not hold that one, it releases
// none.
func (d Dir) ReleaseOtherNames(id, keep string) error {
	_ = os.Remove(tempClaim(d.Names(), id)) // of a killed command
	if keep != "" && Holder(filepath.Join(d.Names(), keep)) != id {
		return nil
	}
	entries, err := list(d.Names())
	errs := []error{err}
	for _, e := range entries {
		if name := e.Name(); name != keep && Holder(filepath.Join(d.Names(), name)) == id {
			errs = append(errs, d.ReleaseName(name, id))
		}
	}
	return errors.Join(errs...)
}
