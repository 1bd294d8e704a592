package rootfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// oPath opens a file only to name it (O_PATH of open(2)).
const oPath = 0x200000

// OpenStopped opens the root of a container that does not run, with these volumes. The mounts are detached: they end
// with the root that it returns, or with this process. The caller owns the container and holds its lock until then,
// because two overlays on one upper directory are undefined (kernel: filesystems/overlayfs).
func (m *Manager) OpenStopped(ctx context.Context, s *spec.Spec, volumes []Volume) (*linux.Root, error) {
	path := m.dir.Rootfs(s.ID())
	if linux.IsMountPoint(path) { // its monitor is about to start it again
		return openDetached(path)
	}
	root, err := m.mountDetached(ctx, s, volumes)
	if err := errors.Join(err, m.unmountRoot(s.ID())); err != nil {
		if root != nil {
			root.Close()
		}
		return nil, err
	}
	return root, nil
}

// mountDetached mounts the root and the volumes, and opens a copy of the mounts.
func (m *Manager) mountDetached(ctx context.Context, s *spec.Spec, volumes []Volume) (*linux.Root, error) {
	if err := m.Remount(ctx, s); err != nil {
		return nil, err
	}
	if err := m.mountStopped(s, volumes); err != nil {
		return nil, err
	}
	return openDetached(m.dir.Rootfs(s.ID()))
}

// openDetached opens a copy of the mounts at path.
func openDetached(path string) (*linux.Root, error) {
	tree, err := linux.OpenTree(path, true)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	return linux.OpenRoot(linux.FDPath(tree))
}

// OpenMounted opens the root of a running container as it is mounted on the host: without volumes and other mounts
// inside.
func (m *Manager) OpenMounted(id string) (*linux.Root, error) {
	tree, err := linux.OpenTree(m.dir.Rootfs(id), false)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	return linux.OpenRoot(linux.FDPath(tree))
}

// mountStopped binds the volumes into the mounted root. Mounts below a source are not bound: they would be peers of the
// host's mounts, and unmounting ours would unmount those.
func (m *Manager) mountStopped(s *spec.Spec, volumes []Volume) error {
	path := m.dir.Rootfs(s.ID())
	if err := linux.Mount("", path, "", linux.MsPrivate, ""); err != nil {
		return err
	}
	if s.Root != nil && s.Root.Readonly {
		if err := linux.Mount("", path, "", linux.MsRemount|linux.MsBind|linux.MsRdonly, ""); err != nil {
			return err
		}
	}
	root, err := linux.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	userns, err := openUserns(s)
	if err != nil {
		return err
	}
	if userns != nil {
		defer userns.Close()
	}
	volumes = slices.Clone(volumes)
	slices.SortFunc(volumes, func(a, b Volume) int { return strings.Compare(a.Destination, b.Destination) })
	for _, v := range volumes {
		if err := bindStopped(root, v, userns); err != nil {
			return err
		}
	}
	return nil
}

func bindStopped(root *linux.Root, v Volume, userns *os.File) error {
	target, err := root.Open(v.Destination, oPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the container has removed its mount point
	}
	if err != nil {
		return err
	}
	defer target.Close()
	if _, err := os.Stat(v.Source); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if userns != nil && linux.CanMap(v.Source, userns) == nil {
		err = linux.AttachMapped(v.Source, linux.FDPath(target), userns)
	} else {
		err = linux.Mount(v.Source, linux.FDPath(target), "", linux.MsBind, "")
	}
	if err != nil || !v.ReadOnly {
		return err
	}
	bound, err := root.Open(v.Destination, oPath)
	if err != nil {
		return err
	}
	defer bound.Close()
	return linux.Mount("", linux.FDPath(bound), "", linux.MsRemount|linux.MsBind|linux.MsRdonly, "")
}

// OwnersOf returns the id maps of the document.
func OwnersOf(s *spec.Spec) Owners {
	if !hasIDMap(s) {
		return Owners{}
	}
	return Owners{UIDs: idMaps(s.Linux.UIDMappings), GIDs: idMaps(s.Linux.GIDMappings)}
}

// Root returns the host's ids of the container's root.
func (o Owners) Root() *[2]int {
	uid, _ := outside(o.UIDs, 0) // without a mapping: the host's root
	gid, _ := outside(o.GIDs, 0)
	return &[2]int{uid, gid}
}
