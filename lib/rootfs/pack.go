package rootfs

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
)

// Owners translates ids between the host and the user namespace of a container. The zero value does not translate.
type Owners struct {
	UIDs, GIDs []linux.IDMap
}

// inside returns the id that the container sees for a host id: 65534 if it is not mapped (user_namespaces(7)).
func inside(maps []linux.IDMap, id uint32) int {
	if len(maps) == 0 {
		return int(id)
	}
	for _, m := range maps {
		if id >= m.Outside && id-m.Outside < m.Size {
			return int(m.Inside + id - m.Outside)
		}
	}
	return 65534
}

// outside returns the host id of an id of the container.
func outside(maps []linux.IDMap, id int) (int, error) {
	if len(maps) == 0 {
		return id, nil
	}
	host, ok := linux.Outward(maps, uint32(id))
	if !ok {
		return 0, fmt.Errorf("id %d: not mapped by the container", id)
	}
	return int(host), nil
}

// Pack writes the file name of dir to an archive under the name as, with everything below it. Links are packed as links.
// Sockets and the contents of kernel file systems, such as /proc, are left out.
func Pack(ctx context.Context, out *tar.Writer, dir linux.Dir, name, as string, owners Owners) error {
	p := &packer{ctx: ctx, out: out, owners: owners, tree: linux.NewDescent(dir), links: make(map[inode]string)}
	defer p.tree.Close()
	return p.entry(name, as)
}

type packer struct {
	ctx    context.Context
	out    *tar.Writer
	owners Owners
	tree   *linux.Descent
	links  map[inode]string // the first name of a file that has several
}

func (p *packer) entry(name, as string) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	dir := p.tree.Dir()
	st, err := dir.Stat(name)
	if err != nil {
		return err
	}
	h := &tar.Header{
		Name: as, Mode: int64(st.Mode & 0o7777), ModTime: time.Unix(st.Mtim.Unix()),
		Uid: inside(p.owners.UIDs, st.Uid), Gid: inside(p.owners.GIDs, st.Gid),
	}
	kind := st.Mode & syscall.S_IFMT
	switch kind {
	case syscall.S_IFDIR:
		return p.directory(name, h)
	case syscall.S_IFSOCK:
		return nil
	}
	if first, ok := p.links[inode{st.Dev, st.Ino}]; ok {
		h.Typeflag, h.Linkname = tar.TypeLink, first
		return p.out.WriteHeader(h)
	}
	if st.Nlink > 1 {
		p.links[inode{st.Dev, st.Ino}] = as
	}
	switch kind {
	case syscall.S_IFREG:
		return p.file(name, h, st.Size)
	case syscall.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		h.Linkname, err = dir.Readlink(name)
	case syscall.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	default:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, int64(linux.Major(st.Rdev)), int64(linux.Minor(st.Rdev))
		if kind == syscall.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
	}
	if err == nil {
		err = p.header(dir, name, h)
	}
	return err
}

// header writes a header with the file's extended attributes, except those of overlayfs.
func (p *packer) header(dir linux.Dir, name string, h *tar.Header) error {
	attrs, err := dir.Xattrs(name)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(attrs)) {
		if key != "security.capability" && (!strings.HasPrefix(key, "user.") || strings.HasPrefix(key, "user.overlay.")) {
			continue
		}
		if h.PAXRecords == nil {
			h.PAXRecords = make(map[string]string)
		}
		h.PAXRecords[image.PaxXattr+key] = string(attrs[key])
	}
	return p.out.WriteHeader(h)
}

func (p *packer) directory(name string, h *tar.Header) error {
	as := h.Name
	h.Typeflag, h.Name = tar.TypeDir, strings.TrimSuffix(as, "/")+"/"
	if err := p.header(p.tree.Dir(), name, h); err != nil {
		return err
	}
	if err := p.tree.Enter(name); err != nil {
		return err
	}
	if !isKernels(p.tree.Dir()) {
		names, err := p.tree.Dir().Readdirnames(-1)
		if err != nil {
			return err
		}
		slices.Sort(names)
		for _, name := range names {
			if err := p.entry(name, path.Join(as, name)); err != nil {
				return err
			}
		}
	}
	return p.tree.Leave()
}

// isKernels reports whether a directory is in a file system that the kernel fills, such as proc(5).
func isKernels(dir linux.Dir) bool {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(linux.RawFD(dir.File), &st); err != nil {
		return false
	}
	kernels := []uint32{ // magic.h
		0x9fa0 /* proc */, 0x62656572 /* sysfs */, 0x27e0eb /* cgroup */, 0x63677270, /* cgroup2 */
		0x1cd1 /* devpts */, 0x19800202 /* mqueue */, 0x64626720 /* debugfs */, 0x74726163 /* tracefs */, 0x73636673, /* securityfs */
	}
	return slices.Contains(kernels, uint32(st.Type))
}

// file packs a regular file. Its size is in the header, before its data: if the file grows, the rest is left out; if it
// shrinks, zeros follow, as tar(1) does.
func (p *packer) file(name string, h *tar.Header, size int64) error {
	file, err := p.tree.Dir().OpenFile(name)
	if err != nil {
		return err
	}
	defer file.Close()
	h.Typeflag, h.Size = tar.TypeReg, size
	if err := p.header(p.tree.Dir(), name, h); err != nil {
		return err
	}
	_, err = io.CopyN(p.out, io.MultiReader(&interruptible{p.ctx, file}, zeros{}), size)
	return err
}

// interruptible returns an error from Read after its context has ended.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
