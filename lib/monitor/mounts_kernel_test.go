package monitor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// TestMountsOfTheDefaultPosture checks, in the container, every mount of the default document.
func TestMountsOfTheDefaultPosture(t *testing.T) {
	b := newBox(t, "cat /proc/self/mounts")
	got := b.run()
	want := map[string]string{ // the options that it must have
		"/proc": "proc rw,nosuid,nodev,noexec", "/dev": "tmpfs rw,nosuid,size=65536k,mode=755",
		"/dev/pts": "devpts rw,nosuid,noexec,gid=5,mode=620,ptmxmode=666", "/dev/shm": "tmpfs rw,nosuid,nodev,noexec,size=65536k",
		"/dev/mqueue": "mqueue rw,nosuid,nodev,noexec", "/sys": "sysfs ro,nosuid,nodev,noexec", "/sys/fs/cgroup": "tmpfs ro,nosuid,nodev,noexec",
		"/proc/bus": "proc ro,nosuid,nodev,noexec", "/proc/fs": "proc ro,nosuid,nodev,noexec", "/proc/irq": "proc ro,nosuid,nodev,noexec",
		"/proc/sys": "proc ro,nosuid,nodev,noexec", "/proc/sysrq-trigger": "proc ro,nosuid,nodev,noexec",
	}
	for _, line := range strings.Split(strings.TrimSpace(got.out), "\n") {
		fields := strings.Fields(line)
		place, options := fields[1], ","+fields[3]+","
		kind, words, ok := strings.Cut(want[place], " ")
		delete(want, place)
		switch {
		case place == "/":
		case !ok && !masked(place):
			t.Errorf("an extra mount: %s", line)
		case ok && fields[2] != kind:
			t.Errorf("%s is no %s", line, kind)
		case ok:
			for _, word := range strings.Split(words, ",") {
				if !strings.Contains(options, ","+word+",") {
					t.Errorf("%s lacks %s", line, word)
				}
			}
		}
	}
	for place, line := range want {
		if _, err := os.Stat(place); err == nil { // if this kernel has it
			t.Errorf("missing: %s %s", place, line)
		}
	}
}

func masked(place string) bool {
	for _, path := range strings.Fields("acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats") {
		if place == "/proc/"+path {
			return true
		}
	}
	return strings.HasPrefix(place, "/sys/firmware") || place == "/sys/devices/virtual/powercap"
}

// TestMasks reads masked paths and writes to read-only ones.
func TestMasks(t *testing.T) {
	b := newBox(t, `
		for f in interrupts kcore keys latency_stats sched_debug timer_list timer_stats; do
			[ ! -e /proc/$f ] || echo "/proc/$f $(dd if=/proc/$f bs=1 count=1 2>/dev/null | wc -c)"
		done
		for d in /proc/acpi /proc/asound /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do
			[ ! -e $d ] || echo "$d $(ls $d | wc -l)"
		done
		for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/x /sys/fs/cgroup/x /proc/acpi/x; do
			(echo 0 > $f) 2>/dev/null && echo "$f 1"
		done
		mount -o remount,rw /proc/sys 2>/dev/null && echo "remount 1"
		true`)
	got := b.run()
	if got.code != 0 || !strings.Contains(got.out, "/proc/keys") {
		t.Fatal(got)
	}
	for _, line := range strings.Split(strings.TrimSpace(got.out), "\n") {
		if !strings.HasSuffix(line, " 0") {
			t.Errorf("open: %s", line)
		}
	}
}

func TestDevices(t *testing.T) {
	b := newBox(t, `
		for d in null zero full random urandom tty; do stat -c "$d=%F %t:%T %a %u:%g" /dev/$d; done
		for l in fd stdin stdout stderr ptmx; do echo $l=$(readlink /dev/$l); done
		echo all=$(ls /dev) ; echo x > /dev/null && echo null works
		stat -c "tun=%F %t:%T %a %u:%g" /dev/net/tun; stat -c "pipe=%F %a" /dev/pipe`)
	mode, uid, gid := os.FileMode(0o640), uint32(7), uint32(8)
	b.spec.Linux.Devices = []specs.LinuxDevice{
		{Path: "/dev/net/tun", Type: "c", Major: 10, Minor: 200, FileMode: &mode, UID: &uid, GID: &gid},
		{Path: "/dev/pipe", Type: "p"},
		{Path: "/dev/null", Type: "c", Major: 1, Minor: 3}, // as podman lists it, although every container has it
	}
	got := b.run()
	have := pairs(got.out)
	const device = "character special file "
	for name, want := range map[string]string{
		"null": device + "1:3 666 0:0", "zero": device + "1:5 666 0:0", "full": device + "1:7 666 0:0", "random": device + "1:8 666 0:0",
		"urandom": device + "1:9 666 0:0", "tty": device + "5:0 666 0:0", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0",
		"stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx", "tun": device + "a:c8 640 7:8", "pipe": "fifo 666",
		"all": "fd full mqueue net null pipe ptmx pts random shm stderr stdin stdout tty urandom zero",
	} {
		if have[name] != want {
			t.Errorf("%s: %q, want %q", name, have[name], want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestRootReadOnly(t *testing.T) {
	const script = "echo x > /tmp/file && echo written; echo x > /run/file && echo run; true"
	b := newBox(t, script)
	b.spec.Root.Readonly = true
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/run", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=755"}})
	if got := b.run(); got.out != "run\n" || b.file("bundle/rootfs/tmp/file") == "x\n" {
		t.Error(got)
	}
	b = newBox(t, script)
	if got := b.run(); got.out != "written\nrun\n" || b.file("bundle/rootfs/tmp/file") != "x\n" {
		t.Error(got)
	}
}

func TestBinds(t *testing.T) {
	b := newBox(t, `cat /file /dir/inner /made/by/us/inner; for f in /file /ro/x /dir/x; do (echo x > $f) 2>/dev/null && echo wrote $f; done
		grep ' /ro ' /proc/self/mounts | grep -c noexec; [ -e /dir/sub/deep ] && echo deep`)
	source := filepath.Join(b.top, "source")
	must(t, os.MkdirAll(filepath.Join(source, "sub", "deep"), 0o755))
	must(t, os.WriteFile(filepath.Join(source, "inner"), []byte("inner\n"), 0o644))
	bind := func(destination string, options ...string) specs.Mount {
		return specs.Mount{Destination: destination, Type: "bind", Source: source, Options: options}
	}
	file := bind("/file", "ro")
	file.Source = filepath.Join(source, "inner")
	relative := bind("/made/by/us", "rbind", "rro")
	relative.Source = "source" // relative to the bundle
	b.spec.Mounts = append(b.spec.Mounts, file, bind("/dir", "rbind", "rprivate"), bind("/ro", "bind", "ro", "noexec"), relative)
	must(t, os.MkdirAll(b.dir.Bundle(b.spec.ID()), 0o700))
	must(t, os.Symlink(source, filepath.Join(b.dir.Bundle(b.spec.ID()), "source")))
	got := b.run()
	must(t, os.RemoveAll(b.dir.Bundle(b.spec.ID())))
	if got.out != "inner\ninner\ninner\nwrote /dir/x\n1\ndeep\n" || b.file("source/x") != "x\n" {
		t.Error(got)
	}
}

// TestMountsStayInside: links in the image lead no mount out of the root.
func TestMountsStayInside(t *testing.T) {
	outside := t.TempDir()
	b := newBox(t, "echo x > /a/x; echo x > /b/x; grep -c tmpfs /proc/self/mounts >/dev/null; ls "+outside)
	up := strings.Repeat("../", 40)
	must(t, os.Symlink(outside, filepath.Join(b.root, "a")))
	must(t, os.Symlink(up+outside, filepath.Join(b.root, "b")))
	must(t, os.MkdirAll(filepath.Join(b.root, outside), 0o755))
	for _, destination := range []string{"/a", "/b", "/../../" + outside + "/c", "/a/new/dir", "/b/" + up + outside + "/d"} {
		b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: destination, Type: "tmpfs", Source: "tmpfs"})
	}
	b.spec.Process.Cwd = "/a/cwd"
	if got := b.run(); got.code != 0 || !strings.Contains(got.out, "cwd\n") || !strings.Contains(got.out, "x\n") {
		t.Error(got)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("outside: %v %v", entries, err)
	}
}

// TestLinksInPlaceOfMounts: if /proc were a link, our settings would be written into the image.
func TestLinksInPlaceOfMounts(t *testing.T) {
	for _, name := range []string{"proc", "sys"} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "echo it runs")
			must(t, os.Remove(filepath.Join(b.root, name)))
			must(t, os.Symlink("tmp", filepath.Join(b.root, name)))
			if got := b.run(); got.failure == nil || got.failure.Error() != "mount /"+name+": it is a link in the image, or no directory" {
				t.Error(got)
			}
		})
	}
	b := newBox(t, "echo x > /dev/null; ls /tmp/null") // a link in place of /dev leads elsewhere in the container, and does no harm
	must(t, os.Remove(filepath.Join(b.root, "dev")))
	must(t, os.Symlink("/tmp", filepath.Join(b.root, "dev")))
	if got := b.run(); got.out != "/tmp/null\n" {
		t.Error(got)
	}
}

// TestNullDeviceOfTheImage: files are masked by the null device, and not by what the document put in its place.
func TestNullDeviceOfTheImage(t *testing.T) {
	b := newBox(t, "cat /dev/null /proc/timer_list; echo end")
	fake := filepath.Join(b.top, "fake")
	must(t, os.WriteFile(fake, []byte("x"), 0o666))
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/dev/null", Type: "bind", Source: fake, Options: []string{"bind"}})
	if got := b.run(); got.out != "xend\n" {
		t.Error(got)
	}
}

// TestWorkingDirectoryOfTheHost: the working directory cannot lead out by one of our descriptors.
func TestWorkingDirectoryOfTheHost(t *testing.T) {
	for _, cwd := range []string{"/proc/self/fd/3", "/proc/self/fd/4", "/proc/self/fd/5/..", "/proc/1/root/../.."} {
		b := newBox(t, "ls")
		b.spec.Process.Cwd = cwd
		if got := b.run(); got.failure == nil && strings.Contains(got.out, "usr") {
			t.Errorf("%s: %v", cwd, got)
		}
	}
}

// TestGroupOfTheDocument: the program is in its group, with its limits, from its start.
func TestGroupOfTheDocument(t *testing.T) {
	b := newBox(t, "cat /proc/self/cgroup; cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/*/pids.max 2>/dev/null; true")
	path := "/mydocker-test-" + state.NewID()
	limit := int64(33)
	b.spec.Linux.CgroupsPath = path
	b.spec.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}
	group, err := cgroup.Open(path)
	must(t, err)
	released := false
	b.Release = func(ctx context.Context, _ *spec.Spec) error { // as md-cgroup does
		released = true
		if pids, err := group.Procs(); err != nil || len(pids) != 0 {
			t.Errorf("released with %v in it, %v", pids, err)
		}
		return group.Remove(ctx)
	}
	got := b.run()
	if !strings.Contains(got.out, ":"+path+"\n") || !strings.HasSuffix(got.out, "\n33\n") || !released {
		t.Error(got)
	}
}

// TestSysctlsBehindMounts: a mount through a link in a volume ends up in /proc/sys, and has a link in place of a
// sysctl. The value must not be written through it.
func TestSysctlsBehindMounts(t *testing.T) {
	for _, target := range []string{"/proc/sys/net/core", "/proc/sys", "/proc"} {
		b := newBox(t, "true")
		volume, decoy, victim := filepath.Join(b.top, "volume"), filepath.Join(b.top, "decoy"), filepath.Join(b.root, "victim")
		must(t, os.WriteFile(victim, []byte("precious"), 0o644))
		must(t, os.Mkdir(volume, 0o755))
		must(t, os.Symlink(target, filepath.Join(volume, "x")))
		inside := filepath.Join(decoy, strings.TrimPrefix("/proc/sys/net/core", target))
		must(t, os.MkdirAll(inside, 0o755))
		must(t, os.Symlink("/victim", filepath.Join(inside, "somaxconn")))
		b.spec.Mounts = append(b.spec.Mounts,
			specs.Mount{Destination: "/volume", Type: "bind", Source: volume, Options: []string{"bind"}},
			specs.Mount{Destination: "/volume/x", Type: "bind", Source: decoy, Options: []string{"bind"}})
		b.spec.Linux.Sysctl = map[string]string{"net.core.somaxconn": "7"}
		if got := b.run(); got.failure == nil || !strings.Contains(got.failure.Error(), "set sysctl net.core.somaxconn=7") {
			t.Errorf("%s: %v", target, got)
		}
		if data, err := os.ReadFile(victim); err != nil || string(data) != "precious" {
			t.Errorf("%s: it says %q, %v", target, data, err)
		}
	}
}
