package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The ground is one layer beneath those of every image (overlay2): the mount points that each container needs,
// where its image has none. It is made once. Without it they would be made in every container's own layer,
// and taken away again: that costs more than the mounts themselves, and `md-rootfs diff` would show
// them as changes of the program.

// mountPointFiles and groundDirs are the mount points of the document that a pipe starts with, and of etc.go.
var (
	mountPointDirs  = []string{"dev", "etc", "proc", "sys"}
	mountPointFiles = []string{"etc/" + HostsFile, "etc/" + HostnameFile, "etc/" + ResolvFile}
)

// makeMountPointLayer makes the ground if it is not there. It appears as a whole.
func makeMountPointLayer(ground string) error {
	if _, err := os.Lstat(ground); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(filepath.Dir(ground), ".tmp-ground-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	errs := []error{os.Chmod(tmp, 0o755)}
	for _, dir := range mountPointDirs {
		path := filepath.Join(tmp, dir)
		errs = append(errs, os.Mkdir(path, 0o755), os.Chmod(path, 0o755)) // whatever the umask
	}
	for _, file := range mountPointFiles {
		path := filepath.Join(tmp, file)
		errs = append(errs, os.WriteFile(path, nil, 0o644), os.Chmod(path, 0o644))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("make %s: %w", ground, err)
	}
	if err := os.Rename(tmp, ground); err != nil && !errors.Is(err, fs.ErrExist) { // another was quicker
		return err
	}
	return nil
}
