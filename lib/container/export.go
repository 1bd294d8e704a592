package container

import (
	"archive/tar"
	"context"
	"io"

	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/state"
)

// Export writes an archive of a container's root, without its volumes and other mounts in it.
func (e *Engine) Export(ctx context.Context, c *state.Container, w io.Writer) error {
	t, err := e.openRoot(ctx, c)
	if err != nil {
		return err
	}
	defer t.close()
	dir, err := t.root.OpenDir("/")
	if err != nil {
		return withInnerPath(err)
	}
	defer dir.Close()
	out := tar.NewWriter(w)
	if err := rootfs.Pack(ctx, out, dir, ".", ".", t.owners); err != nil {
		return withInnerPath(err)
	}
	return out.Close()
}

// openRoot opens the root of a container without what is mounted in it.
func (e *Engine) openRoot(ctx context.Context, c *state.Container) (*fileTree, error) {
	if !c.Running {
		return e.openStopped(ctx, c.ID, nil)
	}
	root, err := e.rootfs.OpenMounted(c.ID)
	if err != nil {
		return nil, err
	}
	return &fileTree{root: root, owners: rootfs.OwnersOf(c.Spec), close: func() { root.Close() }}, nil
}
