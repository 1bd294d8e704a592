package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// How a layer's archive says that something below is gone (image-spec, layer.md "Whiteouts"), and
// how overlayfs wants it (kernel, filesystems/overlayfs.rst).
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutMeta   = ".wh..wh." // the others of this kind are notes of aufs to itself
	opaqueXattr    = "trusted.overlay.opaque"
	opaqueValue    = "y"
	paxXattr       = "SCHILY.xattr."
)

// An archive can ask for more than there is. The last of the disk is not for it.
const (
	spareBytes = 64 << 20
	spareFiles = 1024
	checkEvery = 64 << 20 // bytes written, where an entry counts at least checkEntry
	checkEntry = 16 << 10
)

// unpacker writes one layer's archive into a directory of its own, as a lower directory of overlayfs.
//
// The archive is a stranger's. No path of it is checked as text: parents are resolved by the kernel
// beneath the layer's root, links of the same layer included, and the last element is acted on by the
// parent's descriptor and never followed. So whatever the names and links say, they mean something
// within the layer.
type unpacker struct {
	ctx     context.Context
	dir     string
	root    *linux.Root
	parents map[string]linux.Dir // open directories by their path
	implied map[string]bool      // directories without an entry of their own; "" is the root
	times   []dirTime
	links   []hardLink // to files of the layers below
	size    int64
	unspent int64 // what may be written until the disk is asked again
	holes   int64 // what the layer's files leave out
	buffer  []byte
	written chan *os.File // large files, on their way to the disk
	flushed chan struct{} // closed when none is any more
}

// A file of that size is sent to the disk at once, while the next are unpacked: so that little is left
// to wait for at the end.
const writebackSize = 256 << 10

// dirTime is the time of a directory, set last because entries in it change it.
type dirTime struct {
	name string
	time time.Time
}

// hardLink is a second name for a file that this layer does not have.
type hardLink struct{ name, target string }

// newUnpacker returns an unpacker into dir, which must be empty.
func newUnpacker(ctx context.Context, dir string) (*unpacker, error) {
	root, err := linux.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	u := &unpacker{
		ctx:     ctx,
		dir:     dir,
		root:    root,
		parents: make(map[string]linux.Dir),
		implied: map[string]bool{"": true},
		buffer:  make([]byte, chunkSize),
		written: make(chan *os.File, 8),
		flushed: make(chan struct{}),
	}
	go u.flush()
	return u, nil
}

// flush starts writing the large files, which may take as long as the disk is busy, and closes them.
func (u *unpacker) flush() {
	defer close(u.flushed)
	for f := range u.written {
		linux.StartWriteback(f)
		f.Close()
	}
}

func (u *unpacker) close() {
	close(u.written)
	<-u.flushed
	u.closeParents()
	u.root.Close()
}

// extract writes the archive. What it says of the layers below is left to finish.
func (u *unpacker) extract(r io.Reader) error {
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := u.spend(max(header.Size, checkEntry)); err != nil {
			return err
		}
		if err := u.entry(header, archive); err != nil {
			return fmt.Errorf("unpack %.300q: %w", header.Name, bounded(err))
		}
	}
}

// bounded makes sure that a path of the archive, which may be a megabyte long, is not told in full.
func bounded(err error) error {
	var at *os.PathError
	if errors.As(err, &at) && len(at.Path) > 600 {
		at.Path = at.Path[:300] + "..." + at.Path[len(at.Path)-300:]
	}
	return err
}

// spend takes n bytes of the disk, or returns an error where they are not there. A sparse file may
// claim any size in a few bytes of archive.
func (u *unpacker) spend(n int64) error {
	u.unspent -= n
	if u.unspent >= 0 {
		return nil
	}
	if err := u.ctx.Err(); err != nil {
		return err
	}
	bytes, files, err := linux.FreeSpace(u.dir)
	if err != nil {
		return err
	}
	// Holes count as if they took place: or a small archive could claim the disk a thousand times.
	if bytes < spareBytes || uint64(n)+uint64(u.holes) > bytes-spareBytes || files < spareFiles {
		return fmt.Errorf("%s: %w", u.dir, syscall.ENOSPC)
	}
	u.unspent = checkEvery
	return nil
}

// entry makes what one entry of the archive describes.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name := path.Clean("/" + h.Name)[1:]
	if name == "" {
		if h.Typeflag != tar.TypeDir {
			return errors.New("the layer's root is not a directory")
		}
		return u.rootDir(h)
	}
	dir, base := path.Split(name)
	parent, err := u.parent(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return err
	}
	if strings.HasPrefix(base, whiteoutPrefix) {
		return u.whiteout(parent, base)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(parent, name, h)
	case tar.TypeReg, tar.TypeRegA, tar.TypeCont, tar.TypeGNUSparse: //nolint:staticcheck // old archives have TypeRegA
		return u.file(parent, base, h, content)
	case tar.TypeLink:
		return u.hardLink(parent, name, path.Clean("/" + h.Linkname)[1:])
	case tar.TypeSymlink:
		return u.create(parent, base, h, func() error { return parent.Symlink(h.Linkname, base) })
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return u.special(parent, base, h)
	}
	return fmt.Errorf("entry of unknown type %q", h.Typeflag)
}

// parent opens the directory that the path means, and makes what of it is missing.
func (u *unpacker) parent(name string) (linux.Dir, error) {
	if dir, ok := u.parents[name]; ok {
		return dir, nil
	}
	dir, err := u.root.OpenDir("./" + name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		dir, err = u.makeParents(name)
	}
	if err != nil {
		return dir, err
	}
	if len(u.parents) >= 64 {
		u.closeParents()
	}
	u.parents[name] = dir
	return dir, nil
}

func (u *unpacker) closeParents() {
	for _, dir := range u.parents {
		dir.Close()
	}
	clear(u.parents)
}

// makeParents makes the directories on the way to name that have no entry of their own (yet).
func (u *unpacker) makeParents(name string) (linux.Dir, error) {
	dir, err := u.root.OpenDir(".")
	if err != nil {
		return dir, err
	}
	done := ""
	for _, element := range strings.Split(name, "/") {
		done = path.Join(done, element)
		next, err := u.root.OpenDir(done)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			if err = u.makeDir(dir, element, false); err == nil {
				u.implied[done] = true
				err = dir.Chmod(element, 0o755)
			}
			if err == nil {
				next, err = u.root.OpenDir(done)
			}
		}
		dir.Close()
		if err != nil {
			return linux.Dir{}, err
		}
		dir = next
	}
	return dir, nil
}

// makeDir makes a directory, or takes the one that is there. Where the layer first removed what stood
// there below, the new directory must hide it. Something else that is there is an error, unless it
// is to be replaced.
func (u *unpacker) makeDir(parent linux.Dir, base string, replace bool) error {
	err := parent.Mkdir(base)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	st, err := parent.Stat(base)
	switch {
	case err != nil:
		return err
	case st.Mode&syscall.S_IFMT == syscall.S_IFDIR:
		return nil
	case isWhiteout(st.Mode, st.Rdev):
		if err := u.remove(parent, base); err != nil {
			return err
		}
		if err := parent.Mkdir(base); err != nil {
			return err
		}
		return parent.SetXattr(base, opaqueXattr, []byte(opaqueValue))
	case replace:
		if err := u.remove(parent, base); err != nil {
			return err
		}
		return parent.Mkdir(base)
	}
	return fmt.Errorf("%q is in the way, or a link to nothing", base)
}

func isWhiteout(mode uint32, device uint64) bool {
	return mode&syscall.S_IFMT == syscall.S_IFCHR && device == 0
}

// remove takes away what a later entry of the same name replaces.
func (u *unpacker) remove(parent linux.Dir, base string) error {
	// The open directories may be in it. The one in use is the caller's: it stays open.
	for name, dir := range u.parents {
		if dir.File != parent.File {
			dir.Close()
			delete(u.parents, name)
		}
	}
	return parent.RemoveAll(base)
}

// finish does what needs the whole layer, or the layers below. lower returns the directories of those,
// the lowest first; it may wait for them, and is only called where they are needed.
func (u *unpacker) finish(lower func() ([]string, error)) error {
	if len(u.links) > 0 || len(u.implied) > 0 {
		dirs, err := lower()
		if err != nil {
			return err
		}
		below, err := openUnion(dirs)
		if err != nil {
			return err
		}
		defer below.close()
		if err := u.copyUp(below); err != nil {
			return err
		}
	}
	for _, d := range u.times {
		if err := u.setTime(d); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) setTime(d dirTime) error {
	dir, err := u.root.OpenDir(path.Dir("./" + d.name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil // a later entry replaced it
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	err = dir.Chtime(path.Base("./"+d.name), d.time)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
