package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
)

// copyTree copies the content of directory from into directory to, with owners, modes, times, extended attributes, hard
// links, devices and holes; the attributes of the directory itself come last. With layer set, from is a layer in
// overlayfs format and is applied to the content of to, whiteouts included.
func copyTree(ctx context.Context, from, to string, layer bool) error {
	src, err := linux.OpenDir(from)
	if err != nil {
		return err
	}
	defer src.Close()
	return copyOpenTree(ctx, src, to, layer)
}

func copyOpenTree(ctx context.Context, src linux.Dir, to string, layer bool) error {
	dst, err := linux.OpenDir(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	c := &copier{
		ctx: ctx, top: dst, layer: layer, links: make(map[inode]string),
		src: linux.NewDescent(src), dst: linux.NewDescent(dst),
	}
	defer c.src.Close()
	defer c.dst.Close()
	if err := c.dir(""); err != nil {
		return err
	}
	return copyAttributes(src, ".", dst, ".")
}

type copier struct {
	ctx   context.Context
	top   linux.Dir
	layer bool
	links map[inode]string // first copy of each file with several names, relative to top

	src, dst *linux.Descent // current directory in both trees
}

type inode struct{ dev, ino uint64 }

// dir copies the content of the current directory, whose path in the tree is path.
func (c *copier) dir(path string) error {
	names, err := c.src.Dir().Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.entry(c.src.Dir(), c.dst.Dir(), name, path+name); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) entry(src, dst linux.Dir, name, path string) error {
	st, err := src.Stat(name)
	if err != nil {
		return err
	}
	kind := st.Mode & syscall.S_IFMT
	if c.layer {
		if kind != syscall.S_IFDIR || image.IsOpaque(src, name) || !isDir(dst, name) {
			if err := dst.RemoveAll(name); err != nil {
				return err
			}
		}
		if image.IsWhiteout(st.Mode, st.Rdev) {
			return nil
		}
	}
	if kind == syscall.S_IFDIR {
		return c.subdir(dst, name, path)
	}
	id := inode{st.Dev, st.Ino}
	if first, ok := c.links[id]; ok {
		if err := dst.Link(c.top, first, name); !errors.Is(err, syscall.ENAMETOOLONG) {
			return err
		}
	}
	if st.Nlink > 1 {
		c.links[id] = path
	}
	switch kind {
	case syscall.S_IFREG:
		err = copyFile(src, dst, name)
	case syscall.S_IFLNK:
		err = copySymlink(src, dst, name)
	default:
		err = dst.Mknod(name, st.Mode, linux.Major(st.Rdev), linux.Minor(st.Rdev))
	}
	if err != nil {
		return err
	}
	return copyAttributes(src, name, dst, name)
}

func copySymlink(src, dst linux.Dir, name string) error {
	target, err := src.Readlink(name)
	if err != nil {
		return err
	}
	return dst.Symlink(target, name)
}

func (c *copier) subdir(dst linux.Dir, name, path string) error {
	if err := dst.Mkdir(name); err != nil && !(c.layer && errors.Is(err, syscall.EEXIST)) {
		return err
	}
	if err := enter(name, c.src, c.dst); err != nil {
		return err
	}
	if err := c.dir(path + "/"); err != nil {
		return err
	}
	if err := leave(c.src, c.dst); err != nil {
		return err
	}
	return copyAttributes(c.src.Dir(), name, c.dst.Dir(), name)
}

// enter descends into directory name in each tree.
func enter(name string, trees ...*linux.Descent) error {
	for _, tree := range trees {
		if err := tree.Enter(name); err != nil {
			return err
		}
	}
	return nil
}

// leave ascends to the parent directory in each tree.
func leave(trees ...*linux.Descent) error {
	for _, tree := range trees {
		if err := tree.Leave(); err != nil {
			return err
		}
	}
	return nil
}

func isDir(dir linux.Dir, name string) bool {
	st, err := dir.Stat(name)
	return err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFDIR
}

// copyAttributes copies owner, extended attributes, mode and times. The order matters: chown(2) clears setuid bits and
// capabilities, and every step changes the times.
func copyAttributes(src linux.Dir, from string, dst linux.Dir, to string) error {
	st, err := src.Stat(from)
	if err != nil {
		return err
	}
	if err := dst.Chown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	attrs, err := src.Xattrs(from)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(attrs)) {
		if strings.HasPrefix(key, "trusted.overlay.") {
			continue // describes the source layer
		}
		// An attribute that the file system does not support is skipped, as cp -a does.
		if err := dst.SetXattr(to, key, attrs[key]); err != nil && !errors.Is(err, syscall.EOPNOTSUPP) {
			return err
		}
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFLNK {
		if err := dst.Chmod(to, st.Mode&0o7777); err != nil {
			return err
		}
	}
	return dst.Chtime(to, time.Unix(st.Mtim.Unix()))
}

// SEEK_DATA and SEEK_HOLE of lseek(2).
const (
	seekData = 3
	seekHole = 4
)

// copyFile copies the content of a regular file and preserves holes.
func copyFile(src, dst linux.Dir, name string) error {
	in, err := src.OpenFile(name)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := dst.CreateFile(name)
	if err != nil {
		return err
	}
	return errors.Join(copyExtents(out, in, info.Size()), out.Close())
}

func copyExtents(out, in *os.File, size int64) error {
	for end := int64(0); ; {
		start, err := in.Seek(end, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return out.Truncate(size) // the rest is a hole
		}
		if err != nil {
			return err
		}
		if end, err = in.Seek(start, seekHole); err != nil {
			return err
		}
		if _, err := in.Seek(start, io.SeekStart); err != nil {
			return err
		}
		if _, err := out.Seek(start, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(out, in, end-start); err != nil { // uses copy_file_range(2)
			return fmt.Errorf("copy %s: %w", in.Name(), err)
		}
	}
}
