package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

func (u *unpacker) rootDir(h *tar.Header) error {
	dir, err := u.root.OpenDir(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	delete(u.implied, "")
	u.times = append(u.times, dirTime{"", h.ModTime})
	return u.attributes(dir, ".", h)
}

func (u *unpacker) directory(parent linux.Dir, name string, h *tar.Header) error {
	base := path.Base(name)
	if err := u.makeDir(parent, base, true); err != nil {
		return err
	}
	delete(u.implied, name)
	u.times = append(u.times, dirTime{name, h.ModTime})
	return u.attributes(parent, base, h)
}

// create creates an entry with its attributes. It replaces an earlier entry of the layer with the same name.
func (u *unpacker) create(parent linux.Dir, base string, h *tar.Header, make func() error) error {
	err := make()
	if errors.Is(err, fs.ErrExist) {
		if err := u.remove(parent, base); err != nil {
			return err
		}
		err = make()
	}
	if err != nil {
		return err
	}
	if err := u.attributes(parent, base, h); err != nil {
		return err
	}
	return parent.Chtime(base, h.ModTime)
}

func (u *unpacker) file(parent linux.Dir, base string, h *tar.Header, content io.Reader) error {
	return u.create(parent, base, h, func() error {
		f, err := parent.CreateFile(base)
		if err != nil {
			return err
		}
		n, err := u.writeContent(f, content)
		u.size += n
		if err != nil {
			f.Close()
			return err
		}
		if n < writebackSize {
			return f.Close()
		}
		u.written <- f // flush closes it
		return nil
	})
}

// writeContent writes the content of a file. A buffer of zeros becomes a hole, since a sparse file in the archive may
// have any size.
func (u *unpacker) writeContent(f *os.File, content io.Reader) (size int64, err error) {
	holes := false
	for end := false; !end; {
		data, err := fill{content}.Fill(u.buffer)
		if err != nil && err != io.EOF {
			return size, err
		}
		end = err == io.EOF
		switch {
		case len(data) == 0:
			err = nil
		case len(data) == len(u.buffer) && isZero(data):
			if err := u.ctx.Err(); err != nil { // a sparse file may have any number of them
				return size, err
			}
			holes = true
			u.holes += int64(len(data))
			_, err = f.Seek(int64(len(data)), io.SeekCurrent)
		default:
			_, err = f.Write(data)
		}
		if err != nil {
			return size, err
		}
		size += int64(len(data))
	}
	if holes {
		return size, f.Truncate(size)
	}
	return size, nil
}

func isZero(b []byte) bool {
	return b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}

func (u *unpacker) special(parent linux.Dir, base string, h *tar.Header) error {
	kind := uint32(syscall.S_IFIFO)
	switch h.Typeflag {
	case tar.TypeChar:
		kind = syscall.S_IFCHR
		if h.Devmajor == 0 && h.Devminor == 0 {
			return errors.New("character device 0:0 is not allowed: it would act as a whiteout")
		}
	case tar.TypeBlock:
		kind = syscall.S_IFBLK
	}
	return u.create(parent, base, h, func() error {
		return parent.Mknod(base, kind|0o600, uint32(h.Devmajor), uint32(h.Devminor))
	})
}

// attributes sets owner, permissions and extended attributes, in this order: chown(2) clears setuid bits and
// capabilities.
func (u *unpacker) attributes(parent linux.Dir, base string, h *tar.Header) error {
	if uint64(h.Uid) >= uint64(linux.NoID) || uint64(h.Gid) >= uint64(linux.NoID) { // -1 would leave the owner root
		return fmt.Errorf("owner %d:%d: want ids from 0 to %d", h.Uid, h.Gid, linux.NoID-1)
	}
	if err := parent.Chown(base, h.Uid, h.Gid); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeSymlink {
		if err := parent.Chmod(base, uint32(h.Mode)&0o7777); err != nil {
			return err
		}
	}
	for key, value := range h.PAXRecords {
		if key, ok := strings.CutPrefix(key, PaxXattr); ok {
			if err := setXattr(parent, base, key, []byte(value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// setXattr sets an extended attribute, except those of overlayfs: a layer could redirect or hide files with them.
func setXattr(parent linux.Dir, base, key string, value []byte) error {
	if strings.HasPrefix(key, "trusted.overlay.") || strings.HasPrefix(key, "user.overlay.") {
		slog.Debug("skip attribute of overlayfs", "file", base, "attribute", key)
		return nil
	}
	err := parent.SetXattr(base, key, value)
	if errors.Is(err, syscall.ENOTSUP) {
		slog.Debug("skip attribute: not supported by file system", "file", base, "attribute", key)
		return nil
	}
	return err
}

// whiteout applies an entry ".wh.NAME": it removes NAME of the layers below. An entry NAME of the same layer stays,
// whether it comes before or after the whiteout.
func (u *unpacker) whiteout(parent linux.Dir, base string) error {
	if base == whiteoutOpaque {
		return parent.SetXattr(".", opaqueXattr, []byte(opaqueValue))
	}
	if strings.HasPrefix(base, whiteoutMeta) {
		return nil
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if name == "" || name == "." || name == ".." {
		return errors.New("whiteout has no name")
	}
	err := parent.Mknod(name, syscall.S_IFCHR, 0, 0)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	st, err := parent.Stat(name)
	if err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return err
	}
	return parent.SetXattr(name, opaqueXattr, []byte(opaqueValue))
}

// hardLink links name to target. If this layer does not have target, it is left to copyUp.
func (u *unpacker) hardLink(parent linux.Dir, name, target string) error {
	base := path.Base(name)
	linked, err := u.linkWithin(parent, base, target)
	if err != nil || linked {
		return err
	}
	if err := u.remove(parent, base); err != nil {
		return err
	}
	u.links = append(u.links, hardLink{name, target})
	return nil
}

// linkWithin creates the hard link and returns true if this layer has target.
func (u *unpacker) linkWithin(parent linux.Dir, base, target string) (bool, error) {
	dir, err := u.root.OpenDir(path.Dir("./" + target))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer dir.Close()
	from := path.Base("/" + target)
	st, err := dir.Stat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case st.Mode&syscall.S_IFMT == syscall.S_IFDIR || target == "":
		return false, fmt.Errorf("hard link to %.300q: target is a directory", target)
	case IsWhiteout(st.Mode, st.Rdev):
		return false, fmt.Errorf("hard link to %.300q: target is removed by the same layer", target)
	}
	if old, err := parent.Stat(base); err == nil {
		if old.Ino == st.Ino {
			return true, nil // already linked
		}
		if err := u.remove(parent, base); err != nil {
			return false, err
		}
	}
	return true, parent.Link(dir, from, base)
}
