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

// driver is a storage driver: it combines the layers of an image into a root.
type driver interface {
	// mount mounts the layers (directories in overlayfs format, lowest first) at p.root, with the writable p.diff on
	// top. It is called again when a stopped container starts; p.diff then has the container's changes.
	mount(ctx context.Context, p place, layers []string) error
}

// DefaultDriver is the storage driver where the user names none.
const DefaultDriver = "overlay2"

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

// place has the paths that a driver works on. All but mountPoints are in the container's bundle.
type place struct {
	mountPoints string // the layer of mount points, see mountpoints.go
	bundle      string
	diff        string
	work        string
	root        string
	userns      *os.File   // user namespace whose id map the root gets; nil for none
	rootIDs     *[2]uint32 // with userns: host uid and gid of the container's root
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

// mkdir creates directories. Existing directories stay unchanged.
func (p place) mkdir(dirs ...string) error {
	linux.Trace(append([]string{"mkdir", "-p"}, dirs...)...)
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// mkdiff creates the writable layer with the owner and mode of the topmost layer's root: the root of a union has those
// of its top layer.
func (p place) mkdiff(layers []string) error {
	if _, err := os.Lstat(p.diff); err == nil {
		return nil
	}
	if err := p.mkdir(p.diff); err != nil {
		return err
	}
	if len(layers) == 0 {
		return os.Chmod(p.diff, 0o755) // independent of the umask
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

// reversed returns the layers topmost first.
func reversed(layers []string) []string {
	out := make([]string, 0, len(layers))
	for i := len(layers) - 1; i >= 0; i-- {
		out = append(out, layers[i])
	}
	return out
}

// hinted is an error with a hint, which is printed on its own line.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }
func (e *hinted) Hint() string  { return e.hint }
