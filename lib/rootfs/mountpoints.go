package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// With overlay2, the lowest layer of every container is a directory with the mount points that all containers need
// (state.Dir.MountPoints), for images that lack them. It is created once. Without it, each start would create the mount
// points in the container's upper directory and remove them later. That takes longer than the mounts themselves, and
// `md-rootfs diff` would list them as changes.

// Mount points of the document that spec.New returns, and of etc.go.
var (
	mountPointDirs  = []string{"dev", "etc", "proc", "sys"}
	mountPointFiles = []string{"etc/" + HostsFile, "etc/" + HostnameFile, "etc/" + ResolvFile}
)

// makeMountPointLayer creates the directory layer if it does not exist. The rename makes it visible only when complete.
func makeMountPointLayer(layer string) error {
	if _, err := os.Lstat(layer); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(filepath.Dir(layer), ".tmp-ground-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	errs := []error{os.Chmod(tmp, 0o755)}
	for _, dir := range mountPointDirs {
		path := filepath.Join(tmp, dir)
		errs = append(errs, os.Mkdir(path, 0o755), os.Chmod(path, 0o755)) // independent of the umask
	}
	for _, file := range mountPointFiles {
		path := filepath.Join(tmp, file)
		errs = append(errs, os.WriteFile(path, nil, 0o644), os.Chmod(path, 0o644))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("make mount point layer %s: %w", layer, err)
	}
	if err := os.Rename(tmp, layer); err != nil && !errors.Is(err, fs.ErrExist) { // another process was faster
		return err
	}
	return nil
}
