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

// Orphan is something of ours that nobody owns: what a crash, or a hand, has left behind.
type Orphan struct {
	Kind   string                      `json:"kind"` // container, attachment, mount, namespace, link, rule, cgroup, lease, port, name, volume, network, layer, blob or file; "broken ..." of what Remove mends
	Name   string                      `json:"name"` // a path, where it has one
	Reason string                      `json:"reason"`
	Kept   bool                        `json:"kept,omitempty"` // for somebody who may come: no fault, and for no repair to take
	Remove func(context.Context) error `json:"-"`              // looks again whether somebody owns it by now; nil: for the user to decide
}

// Extent says what of a container may be there.
type Extent int

// From nothing to everything.
const (
	Absent  Extent = iota // there is no such container
	Stopped               // it is kept: files, name, addresses and volumes, but nothing that is the kernel's
	Active                // it runs, is in the hands of a command, or was prepared by a stage of the pipe
)

// Extent tells what container id owns.
func (d Dir) Extent(id string) Extent {
	if d.Look(id).Owned() {
		return Active
	}
	if d.gone(id) {
		return Absent
	}
	if d.Kept(id) { // also one that has lost its document
		return Stopped
	}
	if _, err := os.Stat(d.Config(id)); err == nil {
		return Absent // it was to go when it ended
	}
	// No document of it here: somebody may hold it in a file, for as long as what it stands for is there.
	n, err := d.ReadNet(id)
	_, rootErr := os.Stat(filepath.Join(d.Bundle(id), RootfsFile))
	switch {
	case err == nil && n.NetNS != "":
		return Active // another's namespace, of which lib/network knows more
	case err == nil && n.Mode != "" && linux.CheckNetNS(d.NetNS(id)) == nil, rootErr == nil && linux.IsMountPoint(d.Rootfs(id)):
		return Active
	}
	return Absent
}

// isOwned reports whether a process that lives has container id in its hands, or it cannot be told that none has.
func (d Dir) isOwned(id string) bool { return d.Look(id).Owned() }

// IfUnowned does something under the lock of container id, unless a process has it in its hands.
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
		_ = os.RemoveAll(d.Runtime(id)) // the lock made it
	}
	return err
}

// IfAtMost does something under the lock of container id, unless its owner is by now more than the given one.
func (d Dir) IfAtMost(id string, more Extent, do func() error) error {
	unlock, err := d.Lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	owner := d.Extent(id)
	if owner > more {
		return nil
	}
	err = do()
	if owner == Absent && d.gone(id) {
		_ = os.RemoveAll(d.Runtime(id)) // the lock made it
	}
	return err
}

// Orphans returns what of the state directory alone nobody owns: names of containers that are gone, and
// temporary files.
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
		found = append(found, Orphan{Kind: "file", Name: path, Reason: "it was being written when its writer was killed", Remove: func(context.Context) error {
			return linux.RemoveAll(path)
		}})
	}
	return found, errors.Join(err, tempErr)
}

// list reads a directory; one that is not there is empty.
func list(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return entries, err
}
