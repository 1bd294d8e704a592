package state

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
)

// Orphan is a resource without an owner, left by a crash or a manual change.
type Orphan struct {
	Kind   string                      `json:"kind"` // container, attachment, mount, namespace, link, rule, cgroup, lease, port, name, volume, network, layer, blob or file; "broken ..." if Remove repairs it
	Name   string                      `json:"name"` // a path, if it has one
	Reason string                      `json:"reason"`
	Kept   bool                        `json:"kept,omitempty"` // may still be used: not an error, and repair leaves it
	Remove func(context.Context) error `json:"-"`              // checks again that it has no owner; nil: the user decides
}

// Extent is how much of a container may exist.
type Extent int

// From nothing to everything.
const (
	Absent  Extent = iota // there is no such container
	Stopped               // kept: files, name, addresses and volumes, but nothing in the kernel
	Active                // running, owned by a command, or prepared by a stage of the pipe
)

// Extent returns how much of container id may exist.
func (d Dir) Extent(id string) Extent {
	if d.Look(id).Owned() {
		return Active
	}
	if d.gone(id) {
		return Absent
	}
	if d.Kept(id) { // even if its document is lost
		return Stopped
	}
	if _, err := os.Stat(d.Config(id)); err == nil {
		return Absent // it is removed when it ends
	}
	// The document is not here. A user may have it in a file, as long as what it describes exists.
	n, err := d.ReadNet(id)
	_, rootErr := os.Stat(filepath.Join(d.Bundle(id), RootfsFile))
	switch {
	case err == nil && n.NetNS != "":
		return Active // another program's namespace; lib/network knows more
	case err == nil && n.Mode != "" && linux.CheckNetNS(d.NetNS(id)) == nil, rootErr == nil && linux.IsMountPoint(d.Rootfs(id)):
		return Active
	}
	return Absent
}

// isOwned reports whether container id has a live owner, or may have one.
func (d Dir) isOwned(id string) bool { return d.Look(id).Owned() }

// IfUnowned calls do under the lock of container id, unless the container has an owner.
func (d Dir) IfUnowned(id string, do func() error) error {
	unlock, err := d.Lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	if !d.isOwned(id) {
		err = do()
	}
	if d.gone(id) && !d.HasRunFile(id) {
		_ = os.RemoveAll(d.Runtime(id)) // made by Lock
	}
	return err
}

// IfAtMost calls do under the lock of container id, unless its extent exceeds limit by now.
func (d Dir) IfAtMost(id string, limit Extent, do func() error) error {
	unlock, err := d.Lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	extent := d.Extent(id)
	if extent > limit {
		return nil
	}
	err = do()
	if extent == Absent && d.gone(id) {
		_ = os.RemoveAll(d.Runtime(id)) // made by Lock
	}
	return err
}

// Orphans returns the orphans in the state directory itself: names of containers that are gone, and temporary files.
func (d Dir) Orphans() ([]Orphan, error) {
	var found []Orphan
	entries, err := list(d.Names())
	for _, e := range entries {
		path := filepath.Join(d.Names(), e.Name())
		holder := d.nameHolder(e.Name())
		if strings.HasPrefix(e.Name(), TempPrefix) || !d.gone(holder) || d.Extent(holder) == Active {
			continue
		}
		found = append(found, Orphan{Kind: "name", Name: path, Reason: "container " + holder + " is gone", Remove: func(context.Context) error {
			if !d.gone(holder) {
				return nil
			}
			return d.ReleaseName(e.Name(), holder)
		}})
	}
	temps, tempErr := d.temps()
	for _, path := range temps {
		found = append(found, Orphan{Kind: "file", Name: path, Reason: "its writer was killed", Remove: func(context.Context) error {
			return linux.RemoveAll(path)
		}})
	}
	return found, errors.Join(err, tempErr)
}

// list reads a directory. A missing directory is empty.
func list(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return entries, err
}
