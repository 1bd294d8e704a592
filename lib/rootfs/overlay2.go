package rootfs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// overlay2 stacks the layers, and the ground beneath them, by the kernel's overlay file system.
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
		if p.userns != nil { // both by one mount
			o.Owner = p.rootIDs
			o.Upper, o.Work = filepath.Join(dirs[last], filepath.Base(p.diff)), filepath.Join(dirs[last], filepath.Base(p.work))
		}
		return explainOverlay(linux.MountOverlay(o), p)
	})
}

// explainOverlay says what the kernel says only in its log.
func explainOverlay(err error, p place) error {
	const hint = "--storage-driver vfs copies the layers and works anywhere"
	switch {
	case errors.Is(err, syscall.ENODEV):
		return &hinted{errors.New("mount the root by overlay2: this kernel has no overlay file system"), hint}
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EOPNOTSUPP):
		if fstype := linux.FilesystemType(p.bundle); fstype != "" {
			return &hinted{fmt.Errorf("mount the root by overlay2: %s lies on %s, which cannot hold the writable layer: %w", p.bundle, fstype, errors.Unwrap(err)), hint}
		}
	}
	return err
}
