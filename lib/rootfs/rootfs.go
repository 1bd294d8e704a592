// Package rootfs is the first stage of the pipe: it turns an image into the root file system and the program of a
// container. Of the document (lib/spec) it owns annotations, root, hostname, process and mounts; of the bundle it owns
//
//	rootfs.json  what the stage created, see Record
//	diff/        upper directory: the container's changes (vfs: the whole copy)
//	work/        work directory of overlayfs
//	aufs/        layers with the whiteouts of aufs
//	rootfs/      mount point of the root: root.path of the document
//	hosts, hostname, resolv.conf   bind-mounted into the container's /etc
//
// Storage drivers, with the equivalent shell commands, which --debug prints:
//
//	overlay2  mount -t overlay -o lowerdir=TOP:…:BOTTOM:MOUNTPOINTS,upperdir=diff,workdir=work overlay rootfs
//	aufs      mount -t aufs -o br=diff=rw none rootfs; mount -o remount,append:LAYER=ro+wh rootfs; …
//	vfs       cp -a LAYER/. diff (for each layer, whiteouts applied); mount --bind diff rootfs
//
// Volumes are bind mounts in the document; the runtime mounts them. The data of named and anonymous volumes is in
// volumes/NAME/data. An empty volume is filled from the image.
package rootfs

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Manager creates and removes the root file systems of a state directory.
type Manager struct {
	dir    state.Dir
	images *image.Store

	// Warn prints a warning to the user.
	Warn func(format string, args ...any)
	// In is standard input, for an archive; nil for none.
	In io.Reader
	// LookupEnv looks up a variable of the caller's environment, for -e NAME. The default is os.LookupEnv.
	LookupEnv program.Lookup
}

// New returns a manager of the state directory. It creates no files.
func New(dir state.Dir) *Manager {
	return &Manager{
		dir: dir, images: image.Open(dir),
		Warn: func(string, ...any) {}, LookupEnv: os.LookupEnv,
	}
}

// Mount returns the stage that creates the bundle and mounts the image as root. If the image is not in the store, the
// error wraps [state.ErrNotFound]. If ref is a directory or an archive ([IsTree]), that is the root instead of an image.
// args replace the image's Cmd. A stage that fails leaves nothing behind.
func (m *Manager) Mount(o Options, ref string, args []string) spec.Stage {
	return func(ctx context.Context, s *spec.Spec) (err error) {
		plan, err := m.parse(o)
		if err != nil {
			return &OptionError{err}
		}
		id := s.ID()
		if err := state.CheckID(id); err != nil {
			return err
		}
		c := &container{Manager: m, plan: plan, id: id, args: args}
		defer func() {
			if err == nil {
				return
			}
			if undoErr := c.undo(interrupt.Undoing(ctx)); undoErr != nil {
				_ = s.AddRelease(m.dir.Env(), "md-rootfs", "umount", id) // spec.Undo tries again and reports errors
			}
		}()
		if err := c.create(s, ref); err != nil {
			return err
		}
		if err := c.unpackTree(ctx); err != nil {
			return err
		}
		if err := c.driver.mount(ctx, m.place(id), c.record.Layers); err != nil {
			return err
		}
		if err := c.fill(ctx, s); err != nil {
			return err
		}
		if err := c.mapIDs(ctx, s); err != nil {
			return err
		}
		return s.AddRelease(m.dir.Env(), "md-rootfs", "umount", id)
	}
}

// mapIDs applies the id map to the container's files, which were prepared with host ids: it mounts the root again,
// id-mapped, and adds the map to the bind mounts of the document.
func (c *container) mapIDs(ctx context.Context, s *spec.Spec) error {
	userns, err := openUserns(s)
	if err != nil || userns == nil {
		return err
	}
	defer userns.Close()
	if uid := s.Process.User.UID; !isMapped(s.Linux.UIDMappings, uid) {
		return fmt.Errorf("user %d: not in the container's id map", uid)
	}
	for _, gid := range append([]uint32{s.Process.User.GID}, s.Process.User.AdditionalGids...) {
		if !isMapped(s.Linux.GIDMappings, gid) {
			return fmt.Errorf("group %d: not in the container's id map", gid)
		}
	}
	for i := range s.Mounts {
		m := &s.Mounts[i]
		if m.Type != "bind" || len(m.UIDMappings) > 0 {
			continue
		}
		if err := linux.CanMap(m.Source, userns); err != nil {
			c.Warn("volume source %s: file system does not support id maps: %v", m.Source, err)
			continue
		}
		m.UIDMappings, m.GIDMappings = s.Linux.UIDMappings, s.Linux.GIDMappings
	}
	if err := c.unmountRoot(c.id); err != nil {
		return err
	}
	return c.mountFor(ctx, c.driver, s, c.record.Layers, userns)
}
