package linux

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// A tree from an image or a container may be deeper than a process can have files open, and than a path can be long.
// These functions keep a few directories of the way open and return to the others through "..".

// maxOpenLevels is the number of directories kept open: little for "ulimit -n 64", enough for nearly all trees.
const maxOpenLevels = 8

// Descent is the way from a directory down into its tree.
type Descent struct {
	keep   int
	levels []level
}

// level is a directory of the way. If it is not open, id identifies it when it is opened again.
type level struct {
	dir Dir
	id  [2]uint64 // device and inode
}

// NewDescent starts at a directory, which the caller closes.
func NewDescent(top Dir) *Descent { return &Descent{keep: maxOpenLevels, levels: []level{{dir: top}}} }

// NewNarrowDescent keeps only the current directory open, for callers with many descents at once.
func NewNarrowDescent(top Dir) *Descent { return &Descent{keep: 1, levels: []level{{dir: top}}} }

// Dir returns the current directory. It is valid until the next step.
func (d *Descent) Dir() Dir { return d.levels[len(d.levels)-1].dir }

// Enter descends into a directory.
func (d *Descent) Enter(name string) error {
	dir, err := d.Dir().OpenDir(name)
	if err != nil {
		return err
	}
	d.levels = append(d.levels, level{dir: dir})
	far := len(d.levels) - 1 - d.keep
	if far < 1 || d.levels[far].dir.File == nil {
		return nil
	}
	st, err := d.levels[far].dir.self()
	if err != nil {
		return err
	}
	d.levels[far].id = [2]uint64{st.Dev, st.Ino}
	d.levels[far].close()
	return nil
}

// Leave goes up to the parent.
func (d *Descent) Leave() error {
	last := len(d.levels) - 1
	down := &d.levels[last]
	defer func() {
		down.close()
		d.levels = d.levels[:last]
	}()
	up := &d.levels[last-1]
	if up.dir.File != nil {
		return nil
	}
	dir, err := down.dir.OpenDir("..")
	if err != nil {
		return err
	}
	st, err := dir.self()
	if err == nil && up.id != [2]uint64{st.Dev, st.Ino} {
		err = fmt.Errorf("read %s: directory was moved while reading it", filepath.Base(down.dir.Name()))
	}
	if err != nil {
		dir.Close()
		return err
	}
	up.dir = dir
	return nil
}

// Close closes all directories but the top.
func (d *Descent) Close() {
	for i := range d.levels[1:] {
		d.levels[1+i].close()
	}
}

func (l *level) close() {
	if l.dir.File != nil {
		l.dir.Close()
		l.dir.File = nil
	}
}

func (d Dir) self() (unix.Stat_t, error) {
	var st unix.Stat_t
	return st, d.wrap("stat", ".", unix.Fstat(d.fd(), &st))
}

// Stat is the result of stat(2).
type Stat = unix.Stat_t

// Walk calls f for the top of a tree and everything in it. Unreadable files are skipped.
func Walk(path string, f func(st *Stat)) {
	parent, err := OpenDir(filepath.Dir(path))
	if err != nil {
		return
	}
	defer parent.Close()
	d := NewDescent(parent)
	defer d.Close()
	d.walk(filepath.Base(path), f)
}

func (d *Descent) walk(name string, f func(st *Stat)) (found bool) {
	st, err := d.Dir().Stat(name)
	if err != nil {
		return true
	}
	f(&st)
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || d.Enter(name) != nil {
		return true
	}
	names, _ := d.Dir().Readdirnames(-1)
	for _, inner := range names {
		if !d.walk(inner, f) {
			return false
		}
	}
	return d.Leave() == nil
}

// RemoveAll removes a file or a tree of any depth. A missing file is not an error.
func RemoveAll(path string) error {
	dir, err := OpenDir(filepath.Dir(path))
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.RemoveAll(filepath.Base(path))
}

// RemoveAll removes name and, if it is a directory, everything in it.
func (d Dir) RemoveAll(name string) error {
	gone, err := d.unlink(name)
	if gone || err != nil {
		return err
	}
	top, err := d.OpenDir(name)
	if err != nil {
		return err
	}
	defer top.Close()
	r := &remover{top: top}
	if err := r.empty(top, 1); err != nil {
		return err
	}
	for len(r.moved) > 0 {
		last := r.moved[len(r.moved)-1]
		r.moved = r.moved[:len(r.moved)-1]
		if err := r.remove(top, last, 1); err != nil {
			return err
		}
	}
	return d.wrap("remove", name, unix.Unlinkat(d.fd(), name, unix.AT_REMOVEDIR))
}

// unlink removes a file that is not a directory.
func (d Dir) unlink(name string) (gone bool, err error) {
	switch err := unix.Unlinkat(d.fd(), name, 0); err {
	case nil, unix.ENOENT:
		return true, nil
	case unix.EISDIR, unix.EPERM:
		return false, nil
	default:
		return false, d.wrap("remove", name, err)
	}
}

// remover removes a tree. All directories above the current one are open. A directory below that limit is moved to the
// top and removed from there.
type remover struct {
	top   Dir
	moved []string
	count int
}

// empty removes everything in a directory at this depth.
func (r *remover) empty(dir Dir, depth int) error {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		gone, err := dir.unlink(name)
		switch {
		case err != nil:
		case gone:
			continue
		case depth == maxOpenLevels:
			err = r.moveUp(dir, name)
		default:
			err = r.remove(dir, name, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *remover) remove(dir Dir, name string, depth int) error {
	sub, err := dir.OpenDir(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	if err := r.empty(sub, depth+1); err != nil {
		return err
	}
	return dir.wrap("remove", name, unix.Unlinkat(dir.fd(), name, unix.AT_REMOVEDIR))
}

func (r *remover) moveUp(dir Dir, name string) error {
	for {
		r.count++
		to := ".removed-" + strconv.Itoa(r.count)
		err := unix.Renameat2(dir.fd(), name, r.top.fd(), to, unix.RENAME_NOREPLACE)
		if err == unix.EEXIST {
			continue
		}
		if err == nil {
			r.moved = append(r.moved, to)
		}
		return dir.wrap("remove", name, err)
	}
}
