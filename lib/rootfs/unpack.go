package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
)

// Unpacking holds the directory and the rules for unpacking an archive.
type Unpacking struct {
	Root *linux.Root // links never lead out of it
	Base string      // the directory, beneath Root
	// Owner is the user and group of all new files; nil keeps those of the archive, translated by Owners.
	Owner  *[2]int
	Owners Owners
	// Data is set for files of the host: devices are left out, and unless the owners are kept, setuid and setgid bits and
	// extended attributes too.
	Data bool
}

// Unpack unpacks an archive over the directory, and returns the bytes of the files. Existing directories stay as they
// are; files are replaced. A directory does not replace a file, nor a file a directory.
func (o Unpacking) Unpack(ctx context.Context, archive io.Reader) (size int64, err error) {
	u := &treeUnpacker{Unpacking: o, ctx: ctx, made: make(map[string]time.Time)}
	defer u.closeParent()
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return u.size, u.setTimes()
		}
		if err != nil {
			return u.size, fmt.Errorf("read archive: %w", err)
		}
		if err := u.entry(h, in); err != nil {
			return u.size, err
		}
	}
}

type treeUnpacker struct {
	Unpacking
	ctx  context.Context
	size int64
	made map[string]time.Time // times of new directories, set at the end because new entries change them

	parent     linux.Dir // the directory opened last, and its path in the archive
	parentPath string
}

func (u *treeUnpacker) closeParent() {
	if u.parent.File != nil {
		u.parent.Close()
		u.parent.File = nil
	}
}

// at returns the path beneath Root of a name in the archive.
func (u *treeUnpacker) at(name string) string {
	return strings.TrimSuffix(u.Base, "/") + path.Clean("/"+name)
}

func (u *treeUnpacker) entry(h *tar.Header, content io.Reader) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	name := path.Clean("/" + h.Name)
	if name == "/" || h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if u.Data && u.Owner != nil {
		h.Mode &^= 0o6000
		h.PAXRecords = nil
	}
	switch h.Typeflag { // before anything is removed for it
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo:
	case tar.TypeCont, tar.TypeGNUSparse:
		h.Typeflag = tar.TypeReg
	case tar.TypeChar, tar.TypeBlock:
		if u.Data {
			return nil
		}
	default:
		return fmt.Errorf("unpack %.300q: unknown type %q", h.Name, h.Typeflag)
	}
	dir, err := u.openParent(path.Dir(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	if h.Typeflag == tar.TypeDir {
		return u.directory(dir, base, name, h)
	}
	busy, err := u.clear(dir, base)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		err = u.file(dir, base, busy, content)
	case tar.TypeSymlink:
		err = dir.Symlink(h.Linkname, base)
	case tar.TypeLink:
		return u.link(dir, base, h.Linkname)
	case tar.TypeFifo:
		err = dir.Mknod(base, syscall.S_IFIFO|0o600, 0, 0)
	case tar.TypeChar:
		err = dir.Mknod(base, syscall.S_IFCHR|0o600, uint32(h.Devmajor), uint32(h.Devminor))
	case tar.TypeBlock:
		err = dir.Mknod(base, syscall.S_IFBLK|0o600, uint32(h.Devmajor), uint32(h.Devminor))
	}
	if err != nil {
		return err
	}
	if err := u.attributes(dir, base, h); err != nil {
		return err
	}
	return dir.Chtime(base, h.ModTime)
}

// openParent opens a directory of the archive, and creates it if it is missing.
func (u *treeUnpacker) openParent(name string) (linux.Dir, error) {
	if u.parent.File != nil && u.parentPath == name {
		return u.parent, nil
	}
	dir, err := u.Root.OpenDir(u.at(name))
	if errors.Is(err, fs.ErrNotExist) && name != "/" {
		dir, err = u.makeParent(name)
	}
	if err != nil {
		return linux.Dir{}, err
	}
	u.closeParent()
	u.parent, u.parentPath = dir, name
	return dir, nil
}

// makeParent creates and opens a directory that has no entry in the archive. Without Owner it belongs to root.
func (u *treeUnpacker) makeParent(name string) (linux.Dir, error) {
	parent, err := u.openParent(path.Dir(name))
	if err != nil {
		return linux.Dir{}, err
	}
	h := &tar.Header{Name: name, Mode: 0o755, ModTime: time.Now()}
	if err := u.directory(parent, path.Base(name), name, h); err != nil {
		return linux.Dir{}, err
	}
	return u.Root.OpenDir(u.at(name))
}

func (u *treeUnpacker) directory(dir linux.Dir, base, name string, h *tar.Header) error {
	st, err := dir.Stat(base)
	switch {
	case err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFDIR:
		return nil
	case err == nil:
		return fmt.Errorf("%s: cannot overwrite a file with a directory", u.at(name))
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := dir.Mkdir(base); err != nil {
		return err
	}
	u.made[name] = h.ModTime
	return u.attributes(dir, base, h)
}

// clear removes the file that a new one replaces. busy reports that it is a mount point and stays.
func (u *treeUnpacker) clear(dir linux.Dir, base string) (busy bool, err error) {
	st, err := dir.Stat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case st.Mode&syscall.S_IFMT == syscall.S_IFDIR:
		return false, fmt.Errorf("%s: cannot overwrite a directory with a file", path.Join(u.at(u.parentPath), base))
	}
	err = dir.RemoveAll(base)
	if errors.Is(err, syscall.EBUSY) && st.Mode&syscall.S_IFMT == syscall.S_IFREG {
		return true, nil
	}
	return false, err
}

// file writes a regular file: a new one, or if busy the one that is mounted there.
func (u *treeUnpacker) file(dir linux.Dir, base string, busy bool, content io.Reader) (err error) {
	var file *os.File
	if busy {
		fd, err := syscall.Openat(linux.RawFD(dir.File), base, syscall.O_WRONLY|syscall.O_TRUNC|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
		if err != nil {
			return &fs.PathError{Op: "open", Path: path.Join(dir.Name(), base), Err: err}
		}
		file = os.NewFile(uintptr(fd), path.Join(dir.Name(), base))
	} else if file, err = dir.CreateFile(base); err != nil {
		return err
	}
	n, err := io.Copy(file, &interruptible{u.ctx, content})
	u.size += n
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return err
}

func (u *treeUnpacker) link(dir linux.Dir, base, target string) error {
	from, err := u.Root.OpenDir(u.at(path.Dir(path.Clean("/" + target))))
	if err != nil {
		return err
	}
	defer from.Close()
	return dir.Link(from, path.Base(path.Clean("/"+target)), base)
}

// attributes sets owner, permissions and extended attributes, in this order: chown(2) clears setuid bits and
// capabilities.
func (u *treeUnpacker) attributes(dir linux.Dir, base string, h *tar.Header) error {
	uid, gid, err := u.owner(h)
	if err != nil {
		return err
	}
	if err := dir.Chown(base, uid, gid); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeSymlink {
		if err := dir.Chmod(base, uint32(h.Mode)&0o7777); err != nil {
			return err
		}
	}
	for key, value := range h.PAXRecords {
		key, ok := strings.CutPrefix(key, image.PaxXattr)
		if !ok || key != "security.capability" && !strings.HasPrefix(key, "user.") {
			continue
		}
		if err := dir.SetXattr(base, key, []byte(value)); err != nil && !errors.Is(err, syscall.ENOTSUP) && !errors.Is(err, syscall.EPERM) {
			return err
		}
	}
	return nil
}

func (u *treeUnpacker) owner(h *tar.Header) (uid, gid int, err error) {
	if u.Owner != nil {
		return u.Owner[0], u.Owner[1], nil
	}
	if uid, err = outside(u.Owners.UIDs, h.Uid); err != nil {
		return 0, 0, fmt.Errorf("unpack %.300q: user %w", h.Name, err)
	}
	if gid, err = outside(u.Owners.GIDs, h.Gid); err != nil {
		return 0, 0, fmt.Errorf("unpack %.300q: group %w", h.Name, err)
	}
	return uid, gid, nil
}

// setTimes sets the times of the directories, the innermost first.
func (u *treeUnpacker) setTimes() error {
	names := make([]string, 0, len(u.made))
	for name := range u.made {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Reverse(names)
	for _, name := range names {
		dir, err := u.Root.OpenDir(u.at(path.Dir(name)))
		if err != nil {
			continue // a process of the container moved it
		}
		_ = dir.Chtime(path.Base(name), u.made[name]) // likewise
		dir.Close()
	}
	return nil
}
