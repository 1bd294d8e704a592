package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// aufs stacks the layers by aufs, which Debian's and Ubuntu's kernels had until 2019 or so
// (aufs(5)).
type aufs struct{}

func (aufs) mount(ctx context.Context, p place, layers []string) error {
	if p.userns != nil {
		return errors.New("--userns: aufs cannot show files with the ids of other users: use overlay2 or vfs")
	}
	if strings.ContainsAny(p.bundle, ":,=") {
		return fmt.Errorf("mount the root by aufs: %s: its options cannot hold : , or =", p.bundle)
	}
	if err := p.mkdir(p.root); err != nil {
		return err
	}
	if err := p.mkdiff(layers); err != nil {
		return err
	}
	err := linux.Mount("none", p.root, "aufs", 0, aufsTop(p.diff))
	if errors.Is(err, syscall.ENODEV) {
		return &hinted{errors.New("mount the root by aufs: this kernel has no aufs"), "--storage-driver overlay2 is what kernels have today"}
	}
	if err != nil {
		return err
	}
	if err := appendBranches(ctx, p, layers); err != nil {
		return errors.Join(err, linux.Unmount(p.root, linux.MntDetach))
	}
	return nil
}

// appendBranches puts the layers beneath the mounted top, one by one: mount(2) takes a page of options.
func appendBranches(ctx context.Context, p place, layers []string) error {
	for i, layer := range reversed(layers) {
		branch := filepath.Join(p.bundle, "aufs", strconv.Itoa(i))
		if err := translate(ctx, layer, branch); err != nil {
			return fmt.Errorf("make layer %s fit for aufs: %w", layer, err)
		}
		if err := linux.Mount("none", p.root, "aufs", linux.MsRemount, aufsBelow(branch)); err != nil {
			return err
		}
	}
	return nil
}

// aufsTop is the option for the branch that is written, aufsBelow that for one under all others, in
// which whiteouts count though it is read-only (aufs(5), "BRANCH SYNTAX").
func aufsTop(dir string) string   { return "br=" + dir + "=rw" }
func aufsBelow(dir string) string { return "append:" + dir + "=ro+wh" }

// The names that mean something to aufs (aufs(5), "Whiteout").
const (
	aufsWhiteout = ".wh."
	aufsOpaque   = ".wh..wh..opq"
)

// translate makes a copy of a layer, its files hard links, in which what overlayfs marks as removed
// is marked in aufs' way. A copy that is there already is taken.
func translate(ctx context.Context, layer, branch string) error {
	if _, err := os.Lstat(branch); err == nil {
		return nil
	}
	temp := branch + ".tmp"
	if err := linux.RemoveAll(temp); err != nil {
		return err
	}
	if err := os.MkdirAll(temp, 0o755); err != nil {
		return err
	}
	linux.Trace("cp", "-al", layer+"/.", temp)
	from, err := linux.OpenDir(layer)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := linux.OpenDir(temp)
	if err != nil {
		return err
	}
	defer to.Close()
	t := translator{linux.NewDescent(from), linux.NewDescent(to)}
	defer t.from.Close()
	defer t.to.Close()
	if err := t.dir(ctx); err != nil {
		return err
	}
	if err := copyAttributes(from, ".", to, "."); err != nil {
		return err
	}
	return os.Rename(temp, branch)
}

// translator is where the translation is in both trees.
type translator struct{ from, to *linux.Descent }

func (t translator) dir(ctx context.Context) error {
	names, err := t.from.Dir().Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.entry(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (t translator) entry(ctx context.Context, name string) error {
	from, to := t.from.Dir(), t.to.Dir()
	st, err := from.Stat(name)
	if err != nil {
		return err
	}
	switch {
	case isWhiteout(st.Mode, st.Rdev):
		return touch(to, aufsWhiteout+name)
	case st.Mode&syscall.S_IFMT != syscall.S_IFDIR:
		return to.Link(from, name, name)
	}
	if err := to.Mkdir(name); err != nil {
		return err
	}
	opaque := isOpaque(from, name)
	if err := enter(name, t.from, t.to); err != nil {
		return err
	}
	if opaque {
		if err := touch(t.to.Dir(), aufsOpaque); err != nil {
			return err
		}
	}
	if err := t.dir(ctx); err != nil {
		return err
	}
	if err := leave(t.from, t.to); err != nil {
		return err
	}
	return copyAttributes(t.from.Dir(), name, t.to.Dir(), name)
}

func touch(dir linux.Dir, name string) error {
	f, err := dir.CreateFile(name)
	if err != nil {
		return err
	}
	return f.Close()
}
