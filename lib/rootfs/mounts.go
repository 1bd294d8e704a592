package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// addMounts merges ours, parents first, into the mounts of the document. Each replaces a mount with the same
// destination, or goes before the first mount inside it, or last.
func addMounts(mounts, ours []specs.Mount) []specs.Mount {
	sortByDepth(ours)
	out := append([]specs.Mount(nil), mounts...)
next:
	for _, mount := range ours {
		for i := range out {
			if filepath.Clean(out[i].Destination) == mount.Destination {
				out[i] = mount
				continue next
			}
		}
		at := len(out)
		for i := range out {
			if beneath(out[i].Destination, mount.Destination) {
				at = i
				break
			}
		}
		out = append(out[:at], append([]specs.Mount{mount}, out[at:]...)...)
	}
	return out
}

// sortByDepth sorts parents before mounts inside them.
func sortByDepth(mounts []specs.Mount) {
	slices.SortStableFunc(mounts, func(a, b specs.Mount) int {
		return strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/")
	})
}

// dropDevMounts drops mounts inside /dev if /dev is a bind mount whose source lacks their mount points: the runtime
// would create them in the source, where they stay.
func dropDevMounts(mounts []specs.Mount) []specs.Mount {
	source := ""
	return slices.DeleteFunc(mounts, func(m specs.Mount) bool {
		if filepath.Clean(m.Destination) == "/dev" {
			source = ""
			if m.Type == "bind" {
				source = m.Source
			}
		}
		if source == "" || m.Type == "bind" || !beneath(m.Destination, "/dev") {
			return false
		}
		info, err := os.Stat(filepath.Join(source, strings.TrimPrefix(m.Destination, "/dev")))
		return err != nil || !info.IsDir()
	})
}

// makeMountPoint makes the mount point of a mount in the root, unless another mount covers it.
func makeMountPoint(root *linux.Root, all []specs.Mount, mount specs.Mount) error {
	for _, other := range all {
		if beneath(mount.Destination, other.Destination) {
			return nil
		}
	}
	if mount.Type == "bind" {
		info, err := os.Stat(mount.Source)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			f, err := root.CreateFile(mount.Destination, 0o644)
			if err != nil {
				return fmt.Errorf("make mount point: %w", err)
			}
			return f.Close()
		}
	}
	f, err := root.MkdirAll(mount.Destination, 0o755)
	if err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	return f.Close()
}

// makeCwd makes the working directory if the image does not have it, as docker does.
func makeCwd(root *linux.Root, all []specs.Mount, cwd string) error {
	for _, mount := range all {
		if cwd == mount.Destination || beneath(cwd, mount.Destination) {
			return nil
		}
	}
	f, err := root.MkdirAll(cwd, 0o755)
	if err != nil {
		return fmt.Errorf("make working directory: %w", err)
	}
	return f.Close()
}

// beneath reports whether path is inside dir and not dir itself. Both must be clean.
func beneath(path, dir string) bool {
	return path != dir && strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
