package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/linux"
)

// driver makes one root of an image's layers.
type driver interface {
	// mount mounts the layers (directories in overlayfs' form, the lowest first) at p.root, with
	// p.diff on top, which takes what is written. It is called again for a container that was
	// stopped: diff then holds what the container wrote.
	mount(ctx context.Context, p place, layers []string) error
}

const defaultDriver = "overlay2"

// driverNamed returns the driver with the name.
func driverNamed(name string) (driver, error) {
	switch name {
	case "overlay2":
		return overlay2{}, nil
	case "aufs":
		return aufs{}, nil
	case "vfs":
		return vfs{}, nil
	}
	return nil, fmt.Errorf("storage driver %.80q: want overlay2, aufs or vfs", name)
}

// place is where a driver works: all in the container's bundle, but for the ground.
type place struct {
	mountPoints string
	bundle      string
	diff        string
	work        string
	root        string
	userns      *os.File   // the user namespace by which the root is seen; nil for the host's
	rootIDs     *[2]uint32 // the container's root on the host, user and group, then
}

func (m *Manager) place(id string) place {
	bundle := m.dir.Bundle(id)
	return place{
		mountPoints: m.dir.MountPoints(),
		bundle:      bundle,
		diff:        filepath.Join(bundle, "diff"),
		work:        filepath.Join(bundle, "work"),
		root:        m.dir.Rootfs(id),
	}
}

// mkdir makes directories of the place; those that are there stay as they are.
func (p place) mkdir(dirs ...string) error {
	linux.Trace(append([]string{"mkdir", "-p"}, dirs...)...)
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// mkdiff makes the writable layer, with the owner and mode that the root has in the topmost layer:
// where it is the top of a union, the union's root has its.
func (p place) mkdiff(layers []string) error {
	if _, err := os.Lstat(p.diff); err == nil {
		return nil
	}
	if err := p.mkdir(p.diff); err != nil {
		return err
	}
	if len(layers) == 0 {
		return os.Chmod(p.diff, 0o755) // whatever the umask
	}
	from, err := linux.OpenDir(layers[len(layers)-1])
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := linux.OpenDir(p.diff)
	if err != nil {
		return err
	}
	defer to.Close()
	return copyAttributes(from, ".", to, ".")
}

// reversed returns the layers with the topmost first.
func reversed(layers []string) []string {
	out := make([]string, 0, len(layers))
	for i := len(layers) - 1; i >= 0; i-- {
		out = append(out, layers[i])
	}
	return out
}

// hinted is an error with a way out, which stands on a line of its own.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }
func (e *hinted) Hint() string  { return e.hint }
