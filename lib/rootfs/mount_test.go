package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// findMount returns the document's last mount at destination.
func findMount(t *testing.T, s *spec.Spec, destination string) specs.Mount {
	t.Helper()
	for i := len(s.Mounts) - 1; i >= 0; i-- {
		if s.Mounts[i].Destination == destination {
			return s.Mounts[i]
		}
	}
	t.Fatalf("no mount at %s in %+v", destination, s.Mounts)
	return specs.Mount{}
}

func TestDocument(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	h.LookupEnv = func(string) (string, bool) { return "", false }
	h.image("test:latest", v1.ImageConfig{
		Entrypoint: []string{"/entry"}, Cmd: []string{"cmd"}, Env: []string{"PATH=/bin", "A=image"}, User: "mysql",
		WorkingDir: "srv/dir", StopSignal: "SIGQUIT", Labels: map[string]string{"run.oci.handler": "evil"},
	}, files(map[string]string{"etc/passwd": "mysql:x:999:998::/var/lib/mysql:/bin/false\n", "etc/group": "mysql:x:998:\n"}))
	terminal := true
	s := h.mustMount(Options{
		Identity: Identity{Name: "db", Hostname: "host", DNS: []string{"1.1.1.1"}},
		Files:    Files{Env: []string{"A=mine", "B=x"}},
		Extras:   Extras{Label: []string{"k=v", "empty"}, ReadOnly: true, Init: true, TTY: &terminal, Tmpfs: []string{"/run:size=1m"}},
	}, "arg")
	id, p := s.ID(), s.Process
	got := []any{s.Hostname, p.Args, p.Cwd, p.Terminal, p.User.UID, p.User.GID, p.User.AdditionalGids, s.Root.Readonly, s.Root.Path, p.Env}
	want := []any{"host", []string{"/entry", "arg"}, "/srv/dir", true, uint32(999), uint32(998), []uint32{998}, true, h.dir.Rootfs(id),
		[]string{"PATH=/bin", "A=mine", "B=x", "HOME=/var/lib/mysql", "HOSTNAME=host", "TERM=xterm"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for key, value := range map[string]string{
		spec.AnnotationName: "db", spec.AnnotationImage: "test:latest", spec.AnnotationDriver: "overlay2", spec.AnnotationDNS: "1.1.1.1",
		spec.AnnotationStop: "SIGQUIT", spec.AnnotationInit: "true", "k": "v", "empty": "", "run.oci.handler": "",
	} {
		if got := s.Annotations[key]; got != value {
			t.Errorf("annotation %s: got %q, want %q", key, got, value)
		}
	}
	if _, there := s.Annotations["empty"]; !there {
		t.Error("a label without a value is lost")
	}
	if read(findMount(t, s, "/etc/resolv.conf").Source) != "nameserver 1.1.1.1\n" || read(findMount(t, s, "/etc/hostname").Source) != "host\n" {
		t.Error("resolv.conf or hostname")
	}
	if hook := s.Hooks.Poststop[0]; !slices.Equal(hook.Args, []string{"md-rootfs", "umount", id}) || !slices.Equal(hook.Env, h.dir.Env()) {
		t.Errorf("hook: %+v", hook)
	}
	record := h.record(id)
	if !slices.Equal(record.Env, []string{"PATH=/bin", "A=mine", "B=x"}) || record.Name != "db" || record.ImageID != s.Annotation(spec.AnnotationImageID) {
		t.Errorf("record: %+v", record)
	}
	for _, path := range []string{"etc/hosts", "etc/hostname", "etc/resolv.conf", "run", "srv/dir"} {
		if _, err := os.Stat(filepath.Join(s.Root.Path, path)); err != nil {
			t.Error(err)
		}
	}
}

func TestVolumes(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	h.image("test:latest", v1.ImageConfig{Cmd: []string{"x"}, Volumes: map[string]struct{}{"/data": {}, "/covered": {}}},
		func(t *testing.T, dir string) {
			files(map[string]string{"data/file": "image", "real/in": "image", "covered/x": "image"})(t, dir)
			must(t, os.Chmod(filepath.Join(dir, "data"), os.ModeSticky|0o770))
			must(t, os.Lchown(filepath.Join(dir, "data"), 999, 998))
			must(t, os.Lchown(filepath.Join(dir, "data/file"), 999, 998))
			must(t, os.Symlink("/real", filepath.Join(dir, "link")))
		})
	outside := t.TempDir()
	mustWrite(t, filepath.Join(outside, "file"), "host", 0o644)
	missing := filepath.Join(outside, "mis/sing")
	s := h.mustMount(Options{Files: Files{Volume: []string{
		"db:/link", "bare:/covered:nocopy", outside + ":/bind:ro", outside + "/file:/etc/file", missing + ":/missing:rshared",
	}}})
	anonymous := findMount(t, s, "/data").Source
	info, err := os.Stat(anonymous)
	must(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	if read(anonymous, "file") != "image" || info.Mode() != os.ModeDir|os.ModeSticky|0o770 || owner.Uid != 999 || owner.Gid != 998 {
		t.Errorf("the image's VOLUME: %q, %v, %d:%d", read(anonymous, "file"), info.Mode(), owner.Uid, owner.Gid)
	}
	if got := read(findMount(t, s, "/link").Source, "in"); got != "image" {
		t.Errorf("through a link in the image: %s", got)
	}
	if entries, _ := os.ReadDir(findMount(t, s, "/covered").Source); len(entries) != 0 {
		t.Errorf("nocopy: %v", entries)
	}
	if o := findMount(t, s, "/bind").Options; o[0] != "rbind" || !slices.Contains(o, "ro") || o[len(o)-1] != "rprivate" {
		t.Errorf("options of a bind: %q", o)
	}
	if len(h.warnings) != 1 || !strings.Contains(h.warnings[0], missing) || s.Linux.RootfsPropagation != "rshared" {
		t.Errorf("a missing source: %q, %s", h.warnings, s.Linux.RootfsPropagation)
	}
	if info, err := os.Stat(filepath.Join(s.Root.Path, "etc/file")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("mount point of a file: %v", err)
	}

	mustWrite(t, filepath.Join(findMount(t, s, "/link").Source, "in"), "changed", 0o644)
	again := h.mustMount(Options{Files: Files{Volume: []string{"db:/link"}}})
	if got := read(findMount(t, again, "/link").Source, "in"); got != "changed" {
		t.Errorf("a volume that has data was filled: %s", got)
	}
	must(t, h.Unmount(context.Background(), again.ID()))
	must(t, h.Unmount(context.Background(), s.ID()))
	left := h.leaks()
	if want := []string{filepath.Join(h.dir.Volumes(), "bare"), filepath.Join(h.dir.Volumes(), "db")}; !slices.Equal(left, want) {
		t.Errorf("left: %q, want the named volumes alone", left)
	}
}

// TestMountPointsStayInside creates mount points through links in the image that would lead outside. They must resolve
// within the root: the image has a directory with the same path as the one outside.
func TestMountPointsStayInside(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	outside := t.TempDir()
	h.image("test:latest", justRun, func(t *testing.T, dir string) {
		mustMkdir(t, filepath.Join(dir, outside), 0o755)
		must(t, os.Symlink(outside, filepath.Join(dir, "out")))
		must(t, os.Symlink("../../../../../../../.."+outside, filepath.Join(dir, "up")))
		must(t, os.Symlink(h.dir.Root, filepath.Join(dir, "dangling")))
	})
	for made, o := range map[string]Options{
		"cwd":  {Extras: Extras{Workdir: "/out/cwd"}},
		"cwd2": {Extras: Extras{Workdir: "/up/cwd2"}},
		"tmp":  {Extras: Extras{Tmpfs: []string{"/up/tmp"}}},
		"dir":  {Files: Files{Volume: []string{"/out/../up/dir"}}},
		"file": {Files: Files{Volume: []string{"/etc/passwd:/out/file"}}},
	} {
		s := h.mustMount(o)
		if _, err := os.Lstat(filepath.Join(s.Root.Path, outside, made)); err != nil {
			t.Error(err)
		}
	}
	if _, err := h.mount(Options{Extras: Extras{Workdir: "/dangling/x"}}); err == nil {
		t.Error("working directory behind a dangling link: no error")
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Errorf("made outside: %v", entries)
	}
}

// TestFailureLeavesNothing fails at each step that can fail, and checks for leaks.
func TestFailureLeavesNothing(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	h.image("test:latest", justRun, files(map[string]string{"file": "x", "data/a": "x"}))
	source := filepath.Join(t.TempDir(), "a/b")
	taken := h.mustMount(Options{Identity: Identity{Name: "taken"}})
	before := h.leaks()
	entry := ""
	for want, o := range map[string]Options{
		"name taken is taken":    {Identity: Identity{Name: "taken"}},
		"names no program":       {Identity: Identity{Name: "free"}, Extras: Extras{Entrypoint: &entry}},
		"not in the container's": {Extras: Extras{User: "nobody"}, Files: Files{Volume: []string{"vol:/data"}}},
		"make working directory": {Extras: Extras{Workdir: "/file/x"}, Files: Files{Volume: []string{"/data", source + ":/x", "empty:/y"}}},
		"fill from image":        {Files: Files{Volume: []string{source + ":/x", "vol:/file"}}},
		"make mount point":       {Files: Files{Volume: []string{source + ":/file/x"}}},
		"/dev/null/y: not a dir": {Files: Files{Volume: []string{source + ":/x", "/dev/null/y:/z"}}},
	} {
		if _, err := h.mount(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
		if after := h.leaks(); !slices.Equal(after, before) {
			t.Errorf("%q left behind: %q, not %q", want, after, before)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(filepath.Dir(source))); len(entries) != 0 {
		t.Errorf("left of a bind source: %v", entries)
	}
	again := spec.New(taken.ID())
	if err := h.Mount(Options{}, "test", nil)(context.Background(), again); err == nil || read(taken.Root.Path, "file") != "x" {
		t.Errorf("an id that is in use: %v, its root: %s", err, read(taken.Root.Path, "file"))
	}
	if err := h.Mount(Options{}, "other", nil)(context.Background(), spec.New(state.NewID())); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("a missing image: %v", err)
	}
}

func TestForeignDocument(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	h.image("test:latest", v1.ImageConfig{Env: []string{"A=image"}})
	const foreign = `{"ociVersion":"1.0.2","process":{"terminal":true,"user":{"uid":5,"gid":6},"args":["sh"],"env":["A=doc","TERM=vt100"],"cwd":"/srv",
		"future":1},"hostname":"runc","root":{"path":"rootfs"},"mounts":[{"destination":"/etc","type":"tmpfs","source":"tmpfs"}]}`
	s, err := spec.Read(strings.NewReader(foreign))
	must(t, err)
	_, err = state.EnsureID(s)
	must(t, err)
	must(t, h.Mount(Options{}, "test", nil)(context.Background(), s))
	p := s.Process
	got := []any{p.Args, p.Cwd, p.Terminal, p.User.UID, p.User.GID, s.Hostname, p.Env, s.Mounts[0].Destination, state.IsID(s.ID())}
	want := []any{[]string{"sh"}, "/srv", true, uint32(5), uint32(6), "runc",
		[]string{"A=image", "TERM=vt100", "PATH=" + program.DefaultPath, "HOME=/", "HOSTNAME=runc"}, "/etc", true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	data, err := s.Encode()
	must(t, err)
	if !strings.Contains(string(data), `"future": 1`) {
		t.Error("an unknown field is lost")
	}
}

func TestConcurrentMountsWithOneName(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	h.image("test:latest", justRun, files(map[string]string{"data/a": "x"}))
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = h.mount(Options{Identity: Identity{Name: "one"}, Files: Files{Volume: []string{"shared:/data"}}})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !strings.Contains(err.Error(), "name one is taken by container"):
			t.Error(err)
		}
	}
	ids, _ := h.dir.IDs()
	if won != 1 || len(ids) != 1 {
		t.Errorf("%d won, %d containers", won, len(ids))
	}
}

func TestDiff(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	h.image("test:latest", justRun, files(map[string]string{"a": "1", "b": "1", "dir/x": "1", "dir/y": "1", "whole/x": "1", "whole/z": "1"}), files(map[string]string{"dir/z": "2"}))
	s := h.mustMount(Options{Files: Files{Volume: []string{"/dev/null:/etc/hosts", "/dev/null:/etc/hostname", "/dev/null:/etc/resolv.conf"}}})
	root := s.Root.Path
	must(t, os.RemoveAll(filepath.Join(root, "etc")))
	mustWrite(t, filepath.Join(root, "a"), "2", 0o644)
	mustWrite(t, filepath.Join(root, "new/file"), "2", 0o644)
	must(t, os.Remove(filepath.Join(root, "b")))
	must(t, os.Remove(filepath.Join(root, "dir/z")))
	must(t, os.RemoveAll(filepath.Join(root, "whole")))
	mustWrite(t, filepath.Join(root, "whole/x"), "2", 0o644)
	changes, err := h.Diff(context.Background(), s.ID())
	must(t, err)
	var got []string
	for _, c := range changes {
		got = append(got, c.String())
	}
	want := []string{"C /a", "D /b", "C /dir", "D /dir/z", "A /new", "A /new/file", "C /whole", "C /whole/x", "D /whole/z"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestCopyKeepsEverything(t *testing.T) {
	requireRoot(t)
	from, to := t.TempDir(), t.TempDir()
	sparse := filepath.Join(from, "sparse")
	mustWrite(t, sparse, "a beginning, then a hole", 0o644)
	must(t, os.Truncate(sparse, 64<<20))
	must(t, syscall.Setxattr(sparse, "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
	must(t, os.Chown(sparse, 12, 13))
	must(t, syscall.Setxattr(sparse, "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
	must(t, os.Link(sparse, filepath.Join(from, "twin")))
	must(t, syscall.Mknod(filepath.Join(from, "dev"), syscall.S_IFCHR|0o640, 1<<8|5))
	must(t, syscall.Mkfifo(filepath.Join(from, "fifo"), 0o600))
	must(t, os.Symlink("/nowhere", filepath.Join(from, "link")))
	long := time.Unix(1e9, 123456789) // long ago, so that a wrong time cannot be equal by chance
	must(t, os.Chtimes(sparse, long, long))
	must(t, os.Chtimes(from, long, long))
	must(t, copyTree(context.Background(), from, to, false))
	stat := func(path string) syscall.Stat_t {
		var st syscall.Stat_t
		must(t, syscall.Lstat(path, &st))
		return st
	}
	for _, name := range []string{".", "sparse", "twin", "dev", "fifo", "link"} {
		a, b := stat(filepath.Join(from, name)), stat(filepath.Join(to, name))
		if a.Mode != b.Mode || a.Uid != b.Uid || a.Gid != b.Gid || a.Rdev != b.Rdev || a.Size != b.Size && name != "." || a.Mtim != b.Mtim || a.Nlink != b.Nlink {
			t.Errorf("%s:\n%+v\n%+v", name, a, b)
		}
	}
	if blocks := stat(filepath.Join(to, "sparse")).Blocks; blocks > 64 {
		t.Errorf("a sparse file became %d blocks", blocks)
	}
	buf := make([]byte, 64)
	if n, err := syscall.Getxattr(filepath.Join(to, "sparse"), "security.capability", buf); err != nil || n != 20 {
		t.Errorf("security.capability: %d, %v", n, err)
	}
}

// TestUmask mounts with a strict umask: modes in the container must not depend on it.
func TestUmask(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	h.image("test:latest", justRun)
	old := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(old) })
	s := h.mustMount(Options{Files: Files{Volume: []string{"vol:/a/b"}}, Extras: Extras{Workdir: "/c/d"}})
	for path, mode := range map[string]os.FileMode{
		s.Root.Path: 0o755, findMount(t, s, "/a/b").Source: 0o755, findMount(t, s, "/etc/hosts").Source: 0o644,
		filepath.Join(s.Root.Path, "a/b"): 0o755, filepath.Join(s.Root.Path, "c/d"): 0o755, filepath.Join(s.Root.Path, "etc/hosts"): 0o644,
		h.dir.Bundle(s.ID()): 0o700,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, want %v", path, info.Mode().Perm(), mode)
		}
	}
}

func TestUnmountRefusesRunningContainer(t *testing.T) {
	requireRoot(t)
	h := newFixture(t)
	h.image("test:latest", justRun)
	s := h.mustMount(Options{})
	self, err := state.FindProcess(os.Getpid())
	must(t, err)
	must(t, state.WriteJSON(filepath.Join(h.dir.Runtime(s.ID()), state.RunFile), state.Run{Init: self}))
	if err := h.Unmount(context.Background(), s.ID()); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.Root.Path, "etc/hosts")); err != nil {
		t.Error(err)
	}
}
