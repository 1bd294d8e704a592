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

// Whiteouts in archives (image-spec, layer.md "Whiteouts") and in overlayfs (kernel, filesystems/overlayfs.rst).
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutMeta   = ".wh..wh." // other names with this prefix are metadata of aufs
	opaqueXattr    = "trusted.overlay.opaque"
	opaqueValue    = "y"
)

// PaxXattr begins the names of the PAX records that hold extended attributes.
const PaxXattr = "SCHILY.xattr."

// An archive must not fill the disk.
const (
	spareBytes = 64 << 20 // free space that must remain
	spareFiles = 1024     // free inodes that must remain
	checkEvery = 64 << 20 // bytes between checks; an entry counts as at least checkEntry
	checkEntry = 16 << 10
)

// unpacker unpacks the archive of a layer into a directory, as a lower directory of overlayfs.
//
// The archive is untrusted. Paths are not checked as text. The kernel resolves the parent beneath the layer's root,
// including links of the layer, and the last element is used relative to the parent's descriptor and never followed. So
// names and links cannot leave the layer.
type unpacker struct {
	ctx     context.Context
	dir     string
	root    *linux.Root
	parents map[string]linux.Dir // open directories by path
	implied map[string]bool      // directories without an entry; "" is the root
	times   []dirTime
	links   []hardLink // to files of lower layers
	size    int64
	unspent int64 // bytes until the next check of the free space
	holes   int64 // bytes in holes
	buffer  []byte
	written chan *os.File // large files for writeback
	flushed chan struct{} // closed when flush has returned
}

// writebackSize is the size from which writeback of a file starts at once, so that less is left for the final sync.
const writebackSize = 256 << 10

// dirTime is the time of a directory. It is set last, since new entries change it.
type dirTime struct {
	name string
	time time.Time
}

// hardLink is a hard link to a file that this layer does not have.
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

// flush starts writeback of large files, which blocks while the disk is busy, and closes them.
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

// extract unpacks the archive. Entries that refer to lower layers are left to finish.
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

// bounded shortens the path in an error: a path in the archive may be a megabyte long.
func bounded(err error) error {
	var at *os.PathError
	if errors.As(err, &at) && len(at.Path) > 600 {
		at.Path = at.Path[:300] + "..." + at.Path[len(at.Path)-300:]
	}
	return err
}

// spend accounts for n bytes and returns ENOSPC if the disk does not have them. A few bytes of archive can stand for a
// sparse file of any size.
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
	// Holes count as used space. Otherwise a small archive could claim the disk many times over.
	if bytes < spareBytes || uint64(n)+uint64(u.holes) > bytes-spareBytes || files < spareFiles {
		return fmt.Errorf("%s: %w", u.dir, syscall.ENOSPC)
	}
	u.unspent = checkEvery
	return nil
}

// entry unpacks an entry of the archive.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name := path.Clean("/" + h.Name)[1:]
	if name == "" {
		if h.Typeflag != tar.TypeDir {
			return errors.New("root of layer is not a directory")
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
	return fmt.Errorf("unknown entry type %q", h.Typeflag)
}

// parent opens a directory and creates missing parts of its path.
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

// makeParents creates the directories on the path to name that have no entry (yet).
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
			next, err = u.makeImplied(dir, element, done)
		}
		dir.Close()
		if err != nil {
			return linux.Dir{}, err
		}
		dir = next
	}
	return dir, nil
}

// makeImplied creates and opens a directory that has no entry. Its path in the layer is name.
func (u *unpacker) makeImplied(parent linux.Dir, base, name string) (linux.Dir, error) {
	if err := u.makeDir(parent, base, false); err != nil {
		return linux.Dir{}, err
	}
	u.implied[name] = true
	if err := parent.Chmod(base, 0o755); err != nil {
		return linux.Dir{}, err
	}
	return u.root.OpenDir(name)
}

// makeDir creates a directory, or uses an existing one. If it replaces a whiteout of the same layer, the directory
// becomes opaque. Any other file is an error unless replace is set.
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
	case IsWhiteout(st.Mode, st.Rdev):
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
	return fmt.Errorf("%q is not a directory, or a dangling link", base)
}

// IsWhiteout reports whether a file of a layer is a whiteout.
func IsWhiteout(mode uint32, device uint64) bool {
	return mode&syscall.S_IFMT == syscall.S_IFCHR && device == 0
}

// IsOpaque reports whether a directory of a layer hides the layers below it.
func IsOpaque(parent linux.Dir, base string) bool {
	return parent.HasXattr(base, opaqueXattr, opaqueValue)
}

// remove removes a file or directory that a later entry replaces.
func (u *unpacker) remove(parent linux.Dir, base string) error {
	// Open directories may be inside it. The parent, which the caller uses, stays open.
	for name, dir := range u.parents {
		if dir.File != parent.File {
			dir.Close()
			delete(u.parents, name)
		}
	}
	return parent.RemoveAll(base)
}

// finish completes the layer after all entries: it copies from lower layers and sets directory times. lower returns the
// directories of the lower layers, lowest first; it may block, and is called only if they are needed.
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
