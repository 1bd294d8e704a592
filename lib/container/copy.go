package container

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/rootfs"
)

// CopyOptions are the options of `mydocker cp`.
type CopyOptions struct {
	Archive    bool `short:"a" help:"Keep the user and group of each file"`
	FollowLink bool `short:"L" help:"Copy what a link at SOURCE leads to, not the link"`
}

// place is an absolute path in a container, or on the host if container is empty.
type place struct {
	container, path string
	arg             string // as the user wrote it
}

// parsePlace parses CONTAINER:PATH, a path, or "-". A host path with a colon is written as ./a:b or /a:b.
func parsePlace(arg string) (place, error) {
	name, inside, found := strings.Cut(arg, ":")
	switch {
	case arg == "":
		return place{}, errors.New("path is empty")
	case arg == "-":
		return place{arg: arg}, nil
	case !found || name == "" || arg[0] == '/' || arg[0] == '.':
		abs, err := absolute(arg)
		return place{path: abs, arg: arg}, err
	case inside == "":
		return place{}, fmt.Errorf("%s: want CONTAINER:PATH", arg)
	}
	return place{container: name, path: inside, arg: arg}, nil
}

// isStream reports whether the place is standard input or output.
func (p place) isStream() bool { return p.arg == "-" }

// Places are the source and the target of a copy: one is in a container; the other is on the host, or a stream.
type Places struct{ source, target place }

// ParsePlaces parses the arguments of `mydocker cp`: CONTAINER:PATH, a path on the host, or "-", an archive on standard
// input or output.
func ParsePlaces(source, target string) (p Places, err error) {
	if p.source, err = parsePlace(source); err != nil {
		return p, err
	}
	if p.target, err = parsePlace(target); err != nil {
		return p, err
	}
	switch {
	case p.source.container != "" && p.target.container != "":
		return p, errors.New("copy from one container to another: copy to the host first")
	case p.Container() == "":
		return p, errors.New("neither place is in a container: want CONTAINER:PATH for one of them")
	}
	return p, nil
}

// Container returns the container as the user named it.
func (p Places) Container() string { return p.source.container + p.target.container }

// Copy copies files between a container and the host, by docker's rules, and returns the bytes of the files.
func (e *Engine) Copy(ctx context.Context, p Places, o CopyOptions, caller Caller) (size int64, err error) {
	size, err = e.copy(ctx, p.source, p.target, o, caller)
	return size, withInnerPath(err)
}

func (e *Engine) copy(ctx context.Context, source, target place, o CopyOptions, caller Caller) (int64, error) {
	c, err := e.Load(source.container + target.container)
	if err != nil {
		return 0, err
	}
	inside, err := e.openFiles(ctx, c)
	if err != nil {
		return 0, err
	}
	defer inside.close()
	switch {
	case target.isStream():
		return 0, inside.copyToStream(ctx, source, o, caller.Out)
	case source.isStream():
		return inside.copyFromStream(ctx, target, o, caller.In)
	}
	host, err := openHostFiles()
	if err != nil {
		return 0, err
	}
	defer host.close()
	if source.container != "" {
		return copyBetween(ctx, inside, source, host, target, o)
	}
	return copyBetween(ctx, host, source, inside, target, o)
}

// copyBetween copies through an archive, as docker does: a goroutine reads the source, and the caller's writes the
// target.
func copyBetween(ctx context.Context, fromTree *fileTree, from place, toTree *fileTree, to place, o CopyOptions) (int64, error) {
	src, err := fromTree.source(from, o.FollowLink)
	if err != nil {
		return 0, err
	}
	defer src.dir.Close()
	base, as, err := toTree.target(to, src)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, out := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		w := tar.NewWriter(out)
		err := rootfs.Pack(ctx, w, src.dir, src.name, as, fromTree.owners)
		if err == nil {
			err = w.Close()
		}
		out.CloseWithError(err)
	}()
	size, err := toTree.unpack(ctx, base, o, in)
	in.CloseWithError(err)
	cancel()
	<-packed
	return size, err
}

// copyToStream writes an archive of the source.
func (t *fileTree) copyToStream(ctx context.Context, from place, o CopyOptions, stdout io.Writer) error {
	src, err := t.source(from, o.FollowLink)
	if err != nil {
		return err
	}
	defer src.dir.Close()
	as := src.base
	if src.contents {
		as = "."
	}
	out := tar.NewWriter(stdout)
	if err := rootfs.Pack(ctx, out, src.dir, src.name, as, t.owners); err != nil {
		return err
	}
	return out.Close()
}

// copyFromStream unpacks an archive over a directory.
func (t *fileTree) copyFromStream(ctx context.Context, to place, o CopyOptions, stdin io.Reader) (int64, error) {
	real, st, err := t.follow(clean(to.path))
	switch {
	case err != nil:
		return 0, err
	case st == nil:
		return 0, fmt.Errorf("copy to %s: %w", to.arg, fs.ErrNotExist)
	case !isDirectory(st):
		return 0, fmt.Errorf("copy an archive to %s: %w", to.arg, syscall.ENOTDIR)
	}
	archive, err := image.Decompress(ctx, interrupt.Reader(stdin))
	if err != nil {
		return 0, fmt.Errorf("read archive: %w", err)
	}
	defer archive.Close()
	return t.unpack(ctx, real, o, archive)
}

// clean makes a path absolute, and removes the "/" or "/." at its end.
func clean(p string) string { return path.Clean("/" + p) }

// isContents reports whether a path names the contents of a directory instead of the directory: it ends in "/.".
func isContents(p string) bool { return p == "." || strings.HasSuffix(p, "/.") || clean(p) == "/" }

func isDirectory(st *linux.Stat) bool { return st.Mode&syscall.S_IFMT == syscall.S_IFDIR }

// copySource is what is copied: name in dir.
type copySource struct {
	dir       linux.Dir
	name      string
	base      string // its name at the target
	directory bool
	contents  bool
}

func (t *fileTree) source(from place, follow bool) (src copySource, err error) {
	wanted := clean(from.path)
	src = copySource{base: path.Base(wanted), contents: isContents(from.path)}
	mustBeDirectory := src.contents || strings.HasSuffix(from.path, "/")
	real := wanted
	if follow || mustBeDirectory {
		var st *linux.Stat
		if real, st, err = t.follow(wanted); err == nil && st == nil {
			err = fs.ErrNotExist
		}
		if err != nil {
			return src, fmt.Errorf("copy %s: %w", from.arg, errnoOf(err))
		}
	}
	dir, name, err := t.openEntry(real)
	if err != nil {
		return src, fmt.Errorf("copy %s: %w", from.arg, errnoOf(err))
	}
	st, err := dir.Stat(name)
	if err == nil && mustBeDirectory && !isDirectory(&st) {
		err = syscall.ENOTDIR
	}
	if err != nil {
		dir.Close()
		return src, fmt.Errorf("copy %s: %w", from.arg, errnoOf(err))
	}
	src.dir, src.name, src.directory = dir, name, isDirectory(&st)
	return src, nil
}

// target returns the directory that the source is copied into, and its name there: "." for only its contents.
func (t *fileTree) target(to place, src copySource) (base, as string, err error) {
	real, st, err := t.follow(clean(to.path))
	mustBeDirectory := strings.HasSuffix(to.path, "/") || isContents(to.path)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("copy to %s: %w", to.arg, errnoOf(err))
	case st != nil && isDirectory(st) && src.contents:
		return real, ".", nil
	case st != nil && isDirectory(st):
		return real, src.base, nil
	case st != nil && mustBeDirectory:
		return "", "", fmt.Errorf("copy to %s: %w", to.arg, syscall.ENOTDIR)
	case st != nil && src.directory:
		return "", "", fmt.Errorf("copy to %s: a directory cannot replace a file", to.arg)
	case st == nil && mustBeDirectory && !src.directory:
		return "", "", fmt.Errorf("copy to %s: no such directory", to.arg)
	}
	dir, name, err := t.openEntry(real)
	if err != nil {
		return "", "", fmt.Errorf("copy to %s: open its directory: %w", to.arg, errnoOf(err))
	}
	dir.Close()
	parent, _ := path.Split(real)
	return parent, name, nil
}

// errnoOf returns the error number alone: the path in the error is that of a mount, not the user's.
func errnoOf(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// absolute makes a host path absolute, and keeps the "/" or "/." at its end.
func absolute(p string) (string, error) {
	abs, err := filepath.Abs(p)
	if err == nil && abs != "/" {
		switch {
		case p == "." || strings.HasSuffix(p, "/."):
			abs += "/."
		case strings.HasSuffix(p, "/"):
			abs += "/"
		}
	}
	return abs, err
}
