// Package rootfs is the first stage of the pipe: it turns an image into the root file system and the
// program of a container. It owns, of the document (lib/spec), the annotations, root, hostname,
// process and mounts, and of the bundle
//
//	rootfs.json  what it made, see Record
//	diff/        what the container writes (vfs: the whole copy)
//	work/        the kernel's own, for overlay2
//	aufs/        the layers as aufs wants them
//	rootfs/      where the root is mounted: root.path of the document
//	hosts, hostname, resolv.conf   bound over the container's /etc
//
// Storage drivers (the equivalent shell lines are what --debug prints):
//
//	overlay2  mount -t overlay -o lowerdir=TOP:…:BOTTOM:GROUND,upperdir=diff,workdir=work overlay rootfs
//	aufs      mount -t aufs -o br=diff=rw none rootfs; mount -o remount,append:LAYER=ro+wh rootfs; …
//	vfs       cp -a LAYER/. diff (each layer, what it removes taken away); mount --bind diff rootfs
//
// Volumes become bind mounts of the document, which the runtime mounts; named and anonymous ones lie in
// volumes/NAME/data, filled from the image when they are empty.
package rootfs

import (
	"context"
	"io"
	"os"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Manager makes and removes the root file systems of one state directory.
type Manager struct {
	dir    state.Dir
	images *image.Store

	// Warn tells the user of what is no error but perhaps not meant.
	Warn func(format string, args ...any)
	// In is where an archive on standard input comes from; nil where there is none.
	In io.Reader
	// LookupEnv finds a variable of the caller, for -e NAME; os.LookupEnv by default.
	LookupEnv program.Lookup
}

// New returns the manager of the state directory. It makes nothing.
func New(dir state.Dir) *Manager {
	return &Manager{
		dir: dir, images: image.Open(dir),
		Warn: func(string, ...any) {}, LookupEnv: os.LookupEnv,
	}
}

// Mount returns the stage that makes the container's bundle and mounts the image as its root. The
// image must be in the store: else the error wraps [state.ErrNotFound]. Where ref is that of a directory or
// an archive ([IsTree]), it is the root in place of an image. args follow the image's
// entrypoint, in place of its own. Where the stage fails, it leaves nothing behind.
func (m *Manager) Mount(o Options, ref string, args []string) spec.Stage {
	return func(ctx context.Context, s *spec.Spec) (err error) {
		plan, err := m.parse(o)
		if err != nil {
			return &OptionError{err}
		}
		id, err := state.EnsureID(s)
		if err != nil {
			return err
		}
		c := &container{Manager: m, plan: plan, id: id, args: args}
		defer func() {
			if err == nil {
				return
			}
			if undone := c.undo(interrupt.Undoing(ctx)); undone != nil { // whoever undoes the document tries again, and tells
				_ = s.AddRelease(m.dir.Env(), "md-rootfs", "umount", id)
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
