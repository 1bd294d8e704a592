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

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
)

// aufs mounts the layers as branches of aufs (aufs(5)). Debian and Ubuntu kernels had it until about 2019.
type aufs struct{}

func (aufs) mount(ctx context.Context, p place, layers []string) error {
	if p.userns != nil {
		return errors.New("mount aufs root: id maps (--userns) are not supported: use overlay2 or vfs")
	}
	if strings.ContainsAny(p.bundle, ":,=") {
		return fmt.Errorf("mount aufs root: %s: path must not contain : , or =", p.bundle)
	}
	if err := p.mkdir(p.root); err != nil {
		return err
	}
	if err := p.mkdiff(layers); err != nil {
		return err
	}
	err := linux.Mount("none", p.root, "aufs", 0, aufsTop(p.diff))
	if errors.Is(err, syscall.ENODEV) {
		return &hinted{errors.New("mount aufs root: kernel has no aufs"), "use --storage-driver overlay2"}
	}
	if err != nil {
		return err
	}
	if err := appendBranches(ctx, p, layers); err != nil {
		return errors.Join(err, linux.Unmount(p.root, linux.MntDetach))
	}
	return nil
}

// appendBranches adds the layers below the mounted top branch. Each takes a remount, because mount(2) limits its
// options to one page.
func appendBranches(ctx context.Context, p place, layers []string) error {
	for i, layer := range reversed(layers) {
		branch := filepath.Join(p.bundle, "aufs", strconv.Itoa(i))
		if err := translate(ctx, layer, branch); err != nil {
			return fmt.Errorf("translate layer %s for aufs: %w", layer, err)
		}
		if err := linux.Mount("none", p.root, "aufs", linux.MsRemount, aufsBelow(branch)); err != nil {
			return err
		}
	}
	return nil
}

// aufsTop returns the option for the writable branch, aufsBelow the option that appends a read-only branch with
// whiteouts (aufs(5), "BRANCH SYNTAX").
func aufsTop(dir string) string   { return "br=" + dir + "=rw" }
func aufsBelow(dir string) string { return "append:" + dir + "=ro+wh" }

// Names with a meaning for aufs (aufs(5), "Whiteout").
const (
	aufsWhiteout = ".wh."
	aufsOpaque   = ".wh..wh..opq"
)

// translate copies a layer to branch and replaces overlayfs whiteouts by those of aufs. Files are hard links. An
// existing branch is reused.
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

// translator walks a layer and its copy in step.
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
	case image.IsWhiteout(st.Mode, st.Rdev):
		return touch(to, aufsWhiteout+name)
	case st.Mode&syscall.S_IFMT != syscall.S_IFDIR:
		return to.Link(from, name, name)
	}
	if err := to.Mkdir(name); err != nil {
		return err
	}
	opaque := image.IsOpaque(from, name)
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
