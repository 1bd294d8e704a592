package rootfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

var justRun = v1.ImageConfig{Cmd: []string{"/bin/true"}}

// unionLayers returns layers that remove, replace and hide files of lower layers.
func unionLayers() []layer {
	return []layer{
		func(t *testing.T, dir string) {
			files(map[string]string{
				"keep": "one", "gone": "one", "replaced": "one", "dir/gone": "one", "hidden/old": "one",
				"todir": "one", "tofile/x": "one",
			})(t, dir)
			must(t, os.Symlink("/etc/shadow", filepath.Join(dir, "link")))
			must(t, os.Chmod(filepath.Join(dir, "keep"), os.ModeSetuid|0o751))
			must(t, os.Lchown(filepath.Join(dir, "replaced"), 1000, 1001))
		},
		func(t *testing.T, dir string) {
			files(map[string]string{"replaced": "two", "dir/new": "two", "hidden/new": "two", "todir/in": "two", "tofile": "two", "link/in": "two"})(t, dir)
			must(t, syscall.Mknod(filepath.Join(dir, "gone"), syscall.S_IFCHR, 0))
			must(t, syscall.Mknod(filepath.Join(dir, "dir/gone"), syscall.S_IFCHR, 0))
			must(t, syscall.Setxattr(filepath.Join(dir, "hidden"), "trusted.overlay.opaque", []byte("y"), 0))
			must(t, os.Link(filepath.Join(dir, "replaced"), filepath.Join(dir, "twin")))
			must(t, os.Chmod(dir, 0o711))
		},
	}
}

func TestDriversStackLayers(t *testing.T) {
	requireRoot(t)
	for _, name := range []string{"overlay2", "vfs"} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			h.image("test:latest", justRun, unionLayers()...)
			s := h.mustMount(Options{Driver: Driver{StorageDriver: name}})
			checkUnion(t, s.Root.Path)

			mustWrite(t, filepath.Join(s.Root.Path, "written"), "three", 0o644)
			if got := read(h.dir.Bundle(s.ID()), "diff/written"); got != "three" {
				t.Errorf("the writable layer: %s", got)
			}
			must(t, h.Unmount(context.Background(), s.ID()))
			must(t, h.Unmount(context.Background(), s.ID()))
			if left := h.leaks(); left != nil {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func checkUnion(t *testing.T, root string) {
	t.Helper()
	want := map[string]string{"keep": "one", "replaced": "two", "twin": "two", "dir/new": "two", "hidden/new": "two", "todir/in": "two", "tofile": "two", "link/in": "two"}
	for path, content := range want {
		if got := read(root, path); got != content {
			t.Errorf("%s: got %q, want %q", path, got, content)
		}
	}
	for _, path := range []string{"gone", "dir/gone", "hidden/old"} {
		if _, err := os.Lstat(filepath.Join(root, path)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	for path, mode := range map[string]os.FileMode{".": os.ModeDir | 0o711, "keep": os.ModeSetuid | 0o751} {
		info, err := os.Lstat(filepath.Join(root, path))
		must(t, err)
		if info.Mode() != mode {
			t.Errorf("mode of %s: got %v, want %v", path, info.Mode(), mode)
		}
	}
	a, err1 := os.Stat(filepath.Join(root, "replaced"))
	b, err2 := os.Stat(filepath.Join(root, "twin"))
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(a, b) {
		t.Errorf("replaced and twin are not one file: %v", err)
	}
}

func TestRemountKeptContainer(t *testing.T) {
	requireRoot(t)
	for _, name := range []string{"overlay2", "vfs"} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			h.image("test:latest", justRun, files(map[string]string{"a": "one"}))
			s := h.mustMount(Options{Identity: Identity{Name: "keeper"}, Driver: Driver{StorageDriver: name}})
			mustWrite(t, filepath.Join(s.Root.Path, "a"), "two", 0o644)
			mustWrite(t, filepath.Join(h.dir.Bundle(s.ID()), state.SpawnFile), "{}", 0o600)
			held, err := os.Open(filepath.Join(s.Root.Path, "a")) // a busy root must not block the unmount
			must(t, err)
			defer held.Close()

			must(t, h.Unmount(context.Background(), s.ID()))
			if linux.IsMountPoint(s.Root.Path) {
				t.Fatal("still mounted")
			}
			for range 2 {
				must(t, h.Remount(context.Background(), s))
			}
			if got := read(s.Root.Path, "a"); got != "two" {
				t.Errorf("after a restart: %q", got)
			}
			if _, err := h.mount(Options{Identity: Identity{Name: "keeper"}}); err == nil || !strings.Contains(err.Error(), "is taken by") {
				t.Errorf("the name of a kept container: %v", err)
			}
			must(t, h.Remove(context.Background(), s.ID(), false))
			must(t, h.Remove(context.Background(), s.ID(), false))
			if left := h.leaks(); left != nil {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestManyLayers mounts more layers than fit in the options of mount(2).
func TestManyLayers(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	var layers []layer
	for i := range 120 {
		layers = append(layers, files(map[string]string{fmt.Sprintf("f%d", i): "x", "last": fmt.Sprint(i)}))
	}
	h.image("test:latest", justRun, layers...)
	s := h.mustMount(Options{})
	entries, err := os.ReadDir(s.Root.Path)
	must(t, err)
	if len(entries) < 121 || read(s.Root.Path, "last") != "119" {
		t.Errorf("%d entries, last %q", len(entries), read(s.Root.Path, "last"))
	}
}

func TestNoLayers(t *testing.T) {
	requireRoot(t)
	for _, name := range []string{"overlay2", "vfs"} {
		h := newFixture(t)
		h.image("test:latest", justRun)
		s := h.mustMount(Options{Driver: Driver{StorageDriver: name}})
		mustWrite(t, filepath.Join(s.Root.Path, "a"), "one", 0o644)
	}
}

// TestOddPaths uses a path with the separators of overlayfs options.
func TestOddPaths(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	odd := state.Dir{Root: h.dir.Root + `/a,b:c\d e`, Run: h.dir.Run}
	h.Manager = New(odd)
	h.image("test:latest", justRun, files(map[string]string{"a": "one"}), files(map[string]string{"b": "two"}))
	s := h.mustMount(Options{})
	if read(s.Root.Path, "a") != "one" || read(s.Root.Path, "b") != "two" {
		t.Error(read(s.Root.Path, "a"), read(s.Root.Path, "b"))
	}
}

func TestOverlayOnOverlay(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	h.image("test:latest", justRun, files(map[string]string{"a": "one"}))
	lower := h.mustMount(Options{})
	inner := New(state.Dir{Root: filepath.Join(lower.Root.Path, "state"), Run: h.dir.Run})
	outer := h.Manager
	h.Manager = inner
	h.image("test:latest", justRun, files(map[string]string{"a": "one"}))
	_, err := h.mount(Options{})
	h.Manager = outer
	var hint interface{ Hint() string }
	if err == nil || !strings.Contains(err.Error(), "an overlay") || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "vfs") {
		t.Errorf("got %v", err)
	}
}

func TestAufsWithoutKernel(t *testing.T) {
	requireRoot(t)
	if supported("aufs") {
		t.Skip("kernel has aufs")
	}
	h := newFixture(t)
	h.image("test:latest", justRun, files(map[string]string{"a": "one"}))
	_, err := h.mount(Options{Driver: Driver{StorageDriver: "aufs"}})
	if err == nil || !strings.Contains(err.Error(), "kernel has no aufs") {
		t.Errorf("got %v", err)
	}
	if left := h.leaks(); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestAufsOptions(t *testing.T) {
	if got := aufsTop("/a/diff") + " " + aufsBelow("/a/aufs/0"); got != "br=/a/diff=rw append:/a/aufs/0=ro+wh" {
		t.Error(got)
	}
	if err := (aufs{}).mount(context.Background(), place{bundle: "/a:b"}, nil); err == nil || !strings.Contains(err.Error(), "must not contain") {
		t.Errorf("got %v", err)
	}
}

func TestExplainOverlay(t *testing.T) {
	for _, errno := range []error{syscall.ENODEV, nil, syscall.EINVAL} {
		err := errno
		if errno != nil {
			err = fmt.Errorf("mount: %w", errno)
		}
		got := explainOverlay(err, place{bundle: t.TempDir()})
		var hint interface{ Hint() string }
		if errors.As(got, &hint) != (errno == syscall.ENODEV) || (got == nil) != (errno == nil) {
			t.Errorf("%v: %v", errno, got)
		}
	}
}

// TestTrace checks that --debug prints equivalent shell commands.
func TestTrace(t *testing.T) {
	requireRoot(t)
	var out bytes.Buffer
	old := slog.Default()
	t.Cleanup(func() { slog.SetDefault(old) })
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	h := newFixture(t)
	h.image("test:latest", justRun, files(map[string]string{"a": "1"}), files(map[string]string{"b": "1"}))
	s := h.mustMount(Options{})
	p, record := h.place(s.ID()), h.record(s.ID())
	must(t, h.Unmount(context.Background(), s.ID()))
	for _, want := range []string{
		"mount -t overlay -o lowerdir=" + record.Layers[1] + ":" + record.Layers[0] + ":" + p.mountPoints + ",upperdir=" + p.diff + ",workdir=" + p.work + " overlay " + p.root,
		"umount -l " + p.root, "rm -rf " + p.bundle, "mkdir -p " + p.work + " " + p.root,
	} {
		if !strings.Contains(out.String(), `msg="`+want+`"`) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestTranslateForAufs(t *testing.T) {
	requireRoot(t)
	top := t.TempDir()
	from, to := filepath.Join(top, "layer"), filepath.Join(top, "branch")
	mustMkdir(t, from, 0o755)
	unionLayers()[1](t, from)
	for range 2 { // the second call reuses the branch
		must(t, translate(context.Background(), from, to))
	}
	var got []string
	must(t, filepath.Walk(to, func(path string, _ os.FileInfo, err error) error {
		got = append(got, strings.TrimPrefix(path, to))
		return err
	}))
	want := []string{"", "/.wh.gone", "/dir", "/dir/.wh.gone", "/dir/new", "/hidden", "/hidden/.wh..wh..opq", "/hidden/new",
		"/link", "/link/in", "/replaced", "/todir", "/todir/in", "/tofile", "/twin"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestUnknownDriver(t *testing.T) {
	_, err := New(state.Dir{}).parse(Options{Driver: Driver{StorageDriver: "zfs"}})
	if err == nil || err.Error() != `storage driver "zfs": want overlay2, aufs or vfs` {
		t.Errorf("got %v", err)
	}
}

// supported reports whether the kernel lists the file system type (proc(5), /proc/filesystems).
func supported(fstype string) bool {
	data, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return true // unknown: the mount will fail if it is not
	}
	for _, line := range strings.Split(string(data), "\n") {
		if strings.TrimSpace(strings.TrimPrefix(line, "nodev")) == fstype {
			return true
		}
	}
	return false
}
