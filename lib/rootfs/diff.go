package rootfs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Change is one difference between the root of a container and its image.
type Change struct {
	Kind byte   // A added, C changed, D deleted
	Path string // absolute, in the container
}

func (c Change) String() string { return string(c.Kind) + " " + c.Path }

// Diff returns the changes in the root of container id, sorted by path. A directory with a changed entry counts as
// changed. Diff reads the upper directory; the container may run.
func (m *Manager) Diff(ctx context.Context, id string) ([]Change, error) {
	record, err := ReadRecord(m.dir, id)
	if err != nil {
		return nil, err
	}
	switch record.Driver {
	case "":
		return nil, fmt.Errorf("root of container %s: %w", id, state.ErrNotFound)
	case "overlay2":
	default:
		return nil, fmt.Errorf("diff container %s: storage driver %s does not record changes: use overlay2", id, record.Driver)
	}
	upper, err := linux.OpenDir(m.place(id).diff)
	if err != nil {
		return nil, err
	}
	defer upper.Close()
	layers, closeAll, err := openLayers(record.Layers)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	d := &differ{ctx: ctx, upper: linux.NewDescent(upper)}
	defer d.upper.Close()
	lower := make([]*linux.Descent, len(layers))
	for i, layer := range layers {
		lower[i] = linux.NewNarrowDescent(layer)
		defer lower[i].Close()
	}
	if err := d.dir(lower, ""); err != nil {
		return nil, err
	}
	slices.SortFunc(d.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return d.changes, nil
}

// openLayers opens the layers, topmost first.
func openLayers(layers []string) (dirs []linux.Dir, closeAll func(), err error) {
	closeAll = func() {
		for _, dir := range dirs {
			dir.Close()
		}
	}
	for _, layer := range reversed(layers) {
		dir, err := linux.OpenDir(layer)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, closeAll, nil
}

type differ struct {
	ctx     context.Context
	upper   *linux.Descent
	changes []Change
}

func (d *differ) add(kind byte, path string) {
	d.changes = append(d.changes, Change{kind, path})
}

// dir compares the current directory of the upper tree with the same directory in the layers below.
func (d *differ) dir(lower []*linux.Descent, path string) error {
	names, err := d.upper.Dir().Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		if err := d.entry(lower, name, path+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) entry(lower []*linux.Descent, name, path string) error {
	upper := d.upper.Dir()
	st, err := upper.Stat(name)
	if err != nil {
		return err
	}
	existed := visible(lower, name)
	switch {
	case image.IsWhiteout(st.Mode, st.Rdev):
		if existed {
			d.add('D', path)
		}
		return nil
	case existed:
		d.add('C', path)
	default:
		d.add('A', path)
	}
	if !isDir(upper, name) {
		return nil
	}
	opaque := image.IsOpaque(upper, name)
	below, err := descend(lower, name)
	if err != nil {
		return err
	}
	if err := d.upper.Enter(name); err != nil {
		return err
	}
	if opaque {
		if err := d.hidden(d.upper.Dir(), below, path); err != nil {
			return err
		}
	}
	if err := d.dir(below, path); err != nil {
		return err
	}
	return leave(append(below, d.upper)...)
}

// hidden adds the files of the layers that an opaque directory hides and does not replace.
func (d *differ) hidden(upper linux.Dir, lower []*linux.Descent, path string) error {
	seen := make(map[string]bool)
	for _, layer := range lower {
		names, err := layer.Dir().Readdirnames(-1)
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, err := upper.Stat(name); err != nil && !seen[name] && visible(lower, name) {
				d.add('D', path+"/"+name)
			}
			seen[name] = true
		}
	}
	return nil
}

// visible reports whether name exists in the union of the layers.
func visible(lower []*linux.Descent, name string) bool {
	for _, layer := range lower {
		if st, err := layer.Dir().Stat(name); err == nil {
			return !image.IsWhiteout(st.Mode, st.Rdev)
		}
	}
	return false
}

// descend enters directory name in the layers, and returns those that contribute to it: it stops at an opaque directory
// or at a file.
func descend(lower []*linux.Descent, name string) (below []*linux.Descent, err error) {
	for _, layer := range lower {
		if _, err := layer.Dir().Stat(name); err != nil {
			continue
		}
		if !isDir(layer.Dir(), name) {
			break
		}
		opaque := image.IsOpaque(layer.Dir(), name)
		if err := layer.Enter(name); err != nil {
			return nil, err
		}
		below = append(below, layer)
		if opaque {
			break
		}
	}
	return below, nil
}
