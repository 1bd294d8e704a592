package rootfs

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/weikeit/mydocker/lib/linux"
)

// vfs copies all layers into one directory. It needs no union file system.
type vfs struct{}

func (vfs) mount(ctx context.Context, p place, layers []string) error {
	if _, err := os.Lstat(p.diff); errors.Is(err, fs.ErrNotExist) {
		if err := p.mkdiff(layers); err != nil {
			return err
		}
		for _, layer := range layers {
			linux.Trace("cp", "-a", layer+"/.", p.diff)
			if err := copyTree(ctx, layer, p.diff, true); err != nil {
				return err
			}
		}
	}
	if err := p.mkdir(p.root); err != nil {
		return err
	}
	// A bind mount, so that the root is a mount with every driver and is unmounted the same way.
	if p.userns != nil {
		return linux.AttachMapped(p.diff, p.root, p.userns)
	}
	return linux.Mount(p.diff, p.root, "", linux.MsBind, "")
}
