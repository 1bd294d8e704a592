package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/state"
)

// fileTree holds the files of a container as its processes see them, or those of the host. No link leads out of it: the
// kernel resolves each path beneath the root (openat2(2), RESOLVE_IN_ROOT).
type fileTree struct {
	root   *linux.Root
	owners rootfs.Owners
	host   bool
	close  func()
}

func openHostFiles() (*fileTree, error) {
	root, err := linux.OpenRoot("/")
	if err != nil {
		return nil, err
	}
	return &fileTree{root: root, host: true, close: func() { root.Close() }}, nil
}

// openFiles opens the files of a container, with its volumes: of a running one through the root of its first process. A
// stopped one is locked until close, so that it cannot start before.
func (e *Engine) openFiles(ctx context.Context, c *state.Container) (*fileTree, error) {
	if c.Running {
		t, err := openRunning(c)
		if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			return t, err
		}
	}
	record, err := rootfs.ReadRecord(e.Dir, c.ID)
	if err != nil {
		return nil, err
	}
	return e.openStopped(ctx, c.ID, record.Volumes)
}

func openRunning(c *state.Container) (*fileTree, error) {
	pid := c.Run.Init.Number()
	if pid == 0 {
		return nil, state.ErrElsewhere
	}
	root, err := linux.OpenRoot("/proc/" + strconv.Itoa(pid) + "/root")
	if err != nil {
		return nil, err
	}
	if !c.Run.Init.Alive() { // the pid may have been reused
		root.Close()
		return nil, syscall.ESRCH
	}
	return &fileTree{root: root, owners: rootfs.OwnersOf(c.Spec), close: func() { root.Close() }}, nil
}

func (e *Engine) openStopped(ctx context.Context, id string, volumes []rootfs.Volume) (*fileTree, error) {
	unlock, err := e.Dir.Lock(id)
	if err != nil {
		return nil, err
	}
	t, err := e.openLocked(ctx, id, volumes)
	if err != nil {
		unlock()
		e.Dir.Release(id)
		return nil, err
	}
	closeRoot := t.close
	t.close = func() {
		closeRoot()
		unlock()
		e.Dir.Release(id)
	}
	return t, nil
}

func (e *Engine) openLocked(ctx context.Context, id string, volumes []rootfs.Volume) (*fileTree, error) {
	c, err := e.Dir.Load(id)
	if err != nil {
		return nil, err
	}
	if c.Running { // another command has started it
		return openRunning(c)
	}
	if err := e.Dir.AcquireLocked(id); err != nil {
		return nil, err
	}
	root, err := e.rootfs.OpenStopped(ctx, c.Spec, volumes)
	if err != nil {
		return nil, fmt.Errorf("mount files: %w", err)
	}
	return &fileTree{root: root, owners: rootfs.OwnersOf(c.Spec), close: func() { root.Close() }}, nil
}

// openEntry opens the parent directory of a path, and returns the name in it. A path that ends in "/", "." or ".." is
// opened itself, and the name is ".".
func (t *fileTree) openEntry(p string) (linux.Dir, string, error) {
	parent, name := path.Split(p)
	if name == "" || name == "." || name == ".." {
		parent, name = p, "."
	}
	dir, err := t.root.OpenDir(parent)
	return dir, name, err
}

// maxLinks is the number of links that are followed, as by the kernel (path_resolution(7)).
const maxLinks = 40

// follow resolves the links that a path ends in. It returns the path behind them and what is there, or nil if nothing
// is.
func (t *fileTree) follow(p string) (real string, found *linux.Stat, err error) {
	for range maxLinks {
		dir, name, err := t.openEntry(p)
		if err != nil {
			return p, nil, err
		}
		st, err := dir.Stat(name)
		var link string
		if err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFLNK {
			link, err = dir.Readlink(name)
		}
		dir.Close()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return p, nil, nil
		case err != nil:
			return p, nil, err
		case link == "":
			return p, &st, nil
		case strings.HasPrefix(link, "/"):
			p = link
		default: // not cleaned: the component before ".." may be a link
			parent, _ := path.Split(p)
			p = parent + link
		}
	}
	return p, nil, syscall.ELOOP
}

// unpack unpacks an archive over the directory base.
func (t *fileTree) unpack(ctx context.Context, base string, o CopyOptions, archive io.Reader) (size int64, err error) {
	u := rootfs.Unpacking{Root: t.root, Base: base, Owners: t.owners, Data: t.host}
	if !o.Archive {
		u.Owner = t.owner()
	}
	if t.host { // a link of the container must not lead out of the directory that the user named
		dir, err := t.root.OpenDir(base)
		if err != nil {
			return 0, err
		}
		defer dir.Close()
		if u.Root, err = linux.OpenRoot(linux.FDPath(dir.File)); err != nil {
			return 0, err
		}
		defer u.Root.Close()
		u.Base = "/"
	}
	root := t.owners.Root()
	if t.host || *root == [2]int{} {
		return u.Unpack(ctx, archive)
	}
	err = linux.AsFSUser(uint32(root[0]), uint32(root[1]), func() error {
		size, err = u.Unpack(ctx, archive)
		return err
	})
	return size, err
}

// mountPath matches the beginning of a path by which this process reaches the files of a container.
const mountPath = `^/proc/(self/fd/[0-9]+|[0-9]+/root)(/|$)`

// withInnerPath replaces the path in an error by the container's.
func withInnerPath(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		e.Path = regexp.MustCompile(mountPath).ReplaceAllString(e.Path, "/")
	}
	return err
}

// owner returns the owner of new files: the container's root, or on the host the caller.
func (t *fileTree) owner() *[2]int {
	if t.host {
		return &[2]int{os.Getuid(), os.Getgid()}
	}
	return t.owners.Root()
}
