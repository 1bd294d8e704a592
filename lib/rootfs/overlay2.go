package rootfs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// overlay2 mounts the layers, and the mount point layer below them, with overlayfs.
type overlay2 struct{}

func (overlay2) mount(_ context.Context, p place, layers []string) error {
	if err := p.mkdir(p.work, p.root); err != nil {
		return err
	}
	if err := p.mkdiff(layers); err != nil {
		return err
	}
	if err := makeMountPointLayer(p.mountPoints); err != nil {
		return err
	}
	return p.mapped(append(reversed(layers), p.mountPoints, p.bundle), func(dirs []string) error {
		last := len(dirs) - 1
		o := linux.Overlay{Lower: dirs[:last], Upper: p.diff, Work: p.work, Target: p.root}
		if p.userns != nil { // upper and work must be on the same mount
			o.Owner = p.rootIDs
			o.Upper, o.Work = filepath.Join(dirs[last], filepath.Base(p.diff)), filepath.Join(dirs[last], filepath.Base(p.work))
		}
		return explainOverlay(linux.MountOverlay(o), p)
	})
}

// explainOverlay adds the probable cause, which the kernel reports only in its log.
func explainOverlay(err error, p place) error {
	const hint = "--storage-driver vfs copies the layers and works anywhere"
	switch {
	case errors.Is(err, syscall.ENODEV):
		return &hinted{errors.New("mount overlay2 root: kernel has no overlayfs"), hint}
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EOPNOTSUPP):
		if fstype := linux.FilesystemType(p.bundle); fstype != "" {
			return &hinted{fmt.Errorf("mount overlay2 root: %s is on %s, which may not support an upper directory: %w", p.bundle, fstype, errors.Unwrap(err)), hint}
		}
	}
	return err
}
