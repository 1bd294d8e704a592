package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// union is a view of unpacked layers, topmost first, as overlayfs would merge them. It resolves the few entries of a
// layer that refer to lower layers, without a mount.
type union []*linux.Root

func openUnion(dirs []string) (union, error) {
	u := make(union, 0, len(dirs))
	for i := len(dirs) - 1; i >= 0; i-- {
		root, err := linux.OpenRoot(dirs[i])
		if err != nil {
			u.close()
			return nil, err
		}
		u = append(u, root)
	}
	return u, nil
}

func (u union) close() {
	for _, root := range u {
		root.Close()
	}
}

// lookup returns the directory that has the visible file of the path, or fs.ErrNotExist. It does not follow links.
func (u union) lookup(name string) (linux.Dir, error) {
	for _, root := range u {
		dir, verdict, err := find(root, name)
		switch {
		case err != nil:
			return linux.Dir{}, err
		case verdict == found:
			return dir, nil
		case verdict == hidden:
			return linux.Dir{}, fs.ErrNotExist
		}
	}
	return linux.Dir{}, fs.ErrNotExist
}

// verdict is what a layer says about a path.
type verdict int

const (
	silent verdict = iota // lower layers decide
	found
	hidden // does not exist, whatever lower layers have
)

// find looks up a path in one layer. If the result is found, it returns the directory that has the file.
func find(root *linux.Root, name string) (linux.Dir, verdict, error) {
	dir, err := root.OpenDir(".")
	if err != nil {
		return dir, silent, err
	}
	elements := strings.Split(path.Clean("./"+name), "/")
	absent := silent
	for i, element := range elements {
		if IsOpaque(dir, ".") {
			absent = hidden
		}
		st, err := dir.Stat(element)
		last := i == len(elements)-1
		switch {
		case errors.Is(err, fs.ErrNotExist):
			dir.Close()
			return linux.Dir{}, absent, nil
		case err != nil:
			dir.Close()
			return linux.Dir{}, silent, err
		case IsWhiteout(st.Mode, st.Rdev), !last && st.Mode&syscall.S_IFMT != syscall.S_IFDIR:
			dir.Close()
			return linux.Dir{}, hidden, nil
		case last:
			return dir, found, nil
		}
		next, err := dir.OpenDir(element)
		dir.Close()
		if err != nil {
			return linux.Dir{}, silent, err
		}
		dir = next
	}
	return dir, silent, nil
}

// copyUp copies from lower layers what this layer needs: files that it hard-links, and the attributes of directories
// that have no entry of their own.
func (u *unpacker) copyUp(below union) error {
	copies := make(map[string]string) // of files below, by their path there
	for _, l := range u.links {
		if err := u.copyLink(below, l, copies); err != nil {
			return fmt.Errorf("hard link %.300q to %.300q: %w", l.name, l.target, err)
		}
	}
	for name := range u.implied {
		if err := u.copyDirAttributes(below, name); err != nil {
			return fmt.Errorf("directory %.300q: %w", name, err)
		}
	}
	return nil
}

// copyLink copies a file of a lower layer for the first hard link to it, and links later names to the copy. Otherwise a
// thousand entries would be a thousand copies.
func (u *unpacker) copyLink(below union, l hardLink, copies map[string]string) error {
	parent, err := u.parent(strings.TrimPrefix(path.Dir("/"+l.name), "/"))
	if err != nil {
		return err
	}
	base := path.Base(l.name)
	if _, err := parent.Stat(base); err == nil {
		return nil // a later entry took the name
	}
	for _, target := range []string{l.target, copies[l.target]} {
		if target == "" {
			continue
		}
		if linked, err := u.linkWithin(parent, base, target); err != nil || linked {
			return err
		}
	}
	from, err := below.lookup(l.target)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("target is in none of the layers")
	}
	if err != nil {
		return err
	}
	defer from.Close()
	copies[l.target] = l.name
	return u.copyFile(from, path.Base("/"+l.target), parent, base)
}

// copyFile copies one file with all its attributes between layers.
func (u *unpacker) copyFile(from linux.Dir, old string, to linux.Dir, base string) error {
	st, err := from.Stat(old)
	if err != nil {
		return err
	}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		if err := u.copyContent(from, old, st.Size, to, base); err != nil {
			return err
		}
	case syscall.S_IFLNK:
		target, err := from.Readlink(old)
		if err != nil {
			return err
		}
		if err := to.Symlink(target, base); err != nil {
			return err
		}
	case syscall.S_IFDIR:
		return errors.New("target is a directory")
	default:
		return errors.New("target is a special file")
	}
	return copyAttributes(from, old, to, base)
}

func (u *unpacker) copyContent(from linux.Dir, old string, size int64, to linux.Dir, base string) error {
	if err := u.spend(size); err != nil {
		return err
	}
	src, err := from.OpenFile(old)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := to.CreateFile(base)
	if err != nil {
		return err
	}
	n, err := io.Copy(dst, src)
	u.size += n
	return errors.Join(err, dst.Close())
}

// copyDirAttributes copies the attributes of a directory without an entry from the lower layers: overlayfs shows those
// of the topmost layer.
func (u *unpacker) copyDirAttributes(below union, name string) error {
	from, err := below.lookupDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := u.root.OpenDir("./" + name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil // a later entry replaced it
	}
	if err != nil {
		return err
	}
	defer to.Close()
	return copyAttributes(from, ".", to, ".")
}

// lookupDir opens the visible directory of the path, or returns fs.ErrNotExist.
func (u union) lookupDir(name string) (linux.Dir, error) {
	if name == "" {
		if len(u) == 0 {
			return linux.Dir{}, fs.ErrNotExist
		}
		return u[0].OpenDir(".")
	}
	parent, err := u.lookup(name)
	if err != nil {
		return parent, err
	}
	defer parent.Close()
	dir, err := parent.OpenDir(path.Base(name))
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return dir, fs.ErrNotExist
	}
	return dir, err
}

func copyAttributes(from linux.Dir, old string, to linux.Dir, base string) error {
	st, err := from.Stat(old)
	if err != nil {
		return err
	}
	attrs, err := from.Xattrs(old)
	if err != nil {
		return err
	}
	if err := to.Chown(base, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFLNK {
		if err := to.Chmod(base, st.Mode&0o7777); err != nil {
			return err
		}
	}
	for key, value := range attrs {
		if err := setXattr(to, base, key, value); err != nil {
			return err
		}
	}
	return to.Chtime(base, time.Unix(st.Mtim.Unix()))
}
