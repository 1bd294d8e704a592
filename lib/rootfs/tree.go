package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
)

// treeLayer is the directory in the bundle where an archive of a root file system is unpacked.
const treeLayer = "layer"

// IsTree reports whether ref is a directory or an archive of a root file system: a path that starts with / . or .., or -
// for standard input. Anything else is the name of an image.
func IsTree(ref string) bool {
	return ref == "-" || ref == "." || ref == ".." ||
		strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, "../")
}

// resolveTree uses a directory as the only layer, or sets the archive that unpackTree unpacks.
func (c *container) resolveTree(ref string) error {
	// There is no image configuration, so the default program is a shell.
	c.image = &image.Image{Config: v1.Image{Config: v1.ImageConfig{Cmd: []string{"sh"}}}}
	c.record.Image, c.record.Layers = ref, []string{filepath.Join(c.dir.Bundle(c.id), treeLayer)}
	if ref == "-" {
		if c.In == nil {
			return errors.New("read archive: no standard input")
		}
		c.archive = ref
		return nil
	}
	path, err := filepath.Abs(ref)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("directory or archive %s: %w", ref, errors.Unwrap(err))
	case info.IsDir():
		c.record.Layers = []string{path}
	case info.Mode().IsRegular() || info.Mode()&os.ModeNamedPipe != 0:
		c.archive = path
	default:
		return fmt.Errorf("directory or archive %s: unsupported file type", ref)
	}
	c.record.Image = path
	return nil
}

// unpackTree unpacks the archive, if there is one.
func (c *container) unpackTree(ctx context.Context) error {
	if c.archive == "" {
		return nil
	}
	dir := c.record.Layers[0]
	linux.Trace("mkdir", dir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	linux.Trace("tar", "--numeric-owner", "-xpf", c.archive, "-C", dir)
	var in io.Reader = c.In
	if c.archive != "-" {
		file, err := os.Open(c.archive)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	if err := image.UnpackTree(ctx, in, dir); err != nil {
		return fmt.Errorf("unpack %s: %w", c.record.Image, err)
	}
	return nil
}
