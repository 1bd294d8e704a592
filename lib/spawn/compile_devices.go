package spawn

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// makeDevices makes the device files and links that every container has (runtime-spec, config-linux.md "Default
// Devices"), and those that the document asks for. It makes none in a directory of the host, where they would stay.
func (b *blueprint) makeDevices(l *plan, root linux.Value) {
	if !b.isHosts("/dev") {
		b.makeDefaultDevices(l, root)
	}
	for _, d := range b.spec.Linux.Devices {
		if b.isHosts(path.Dir(path.Clean(d.Path))) {
			continue
		}
		l.Doing("make device " + d.Path)
		dir := l.mkdirAll(root, path.Dir(d.Path)) // /dev/net of /dev/net/tun
		b.makeDevice(l, dir, d)
		l.Close(dir)
	}
}

// isHosts reports whether the last mount over a path shows files of the host there.
func (b *blueprint) isHosts(path string) bool {
	for _, m := range slices.Backward(b.spec.Mounts) {
		flags := parseOptions(m.Options).flags
		at := filepath.Clean(m.Destination)
		if flags&linux.MsRemount != 0 || path != at && !strings.HasPrefix(path, at+"/") {
			continue
		}
		return m.Type == "bind" || m.Type == "devtmpfs" || flags&linux.MsBind != 0
	}
	return false
}

func (b *blueprint) makeDefaultDevices(l *plan, root linux.Value) {
	l.Doing("make the devices")
	dev := l.mkdirAll(root, "/dev")
	for _, d := range defaultDevices() {
		b.makeDevice(l, dev, d)
	}
	l.Doing("make the links in /dev")
	for _, link := range [][2]string{
		{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
		{"pts/ptmx", "ptmx"},
	} {
		target, name := link[0], link[1]
		l.shell("ln", "-s", target, path.Join(b.root, "dev", name))
		l.asRoot(func() { l.Symlink(target, dev, name).Ignoring(syscall.EEXIST) })
	}
	l.Close(dev)
}

func defaultDevices() []specs.LinuxDevice {
	mode := os.FileMode(0o666)
	device := func(path string, major, minor int64) specs.LinuxDevice {
		return specs.LinuxDevice{Path: path, Type: "c", Major: major, Minor: minor, FileMode: &mode}
	}
	return []specs.LinuxDevice{
		device("/dev/null", 1, 3), device("/dev/zero", 1, 5), device("/dev/full", 1, 7),
		device("/dev/random", 1, 8), device("/dev/urandom", 1, 9), device("/dev/tty", 5, 0),
	}
}

// makeDevice makes a device file in a directory, with its mode and owner. An existing file is kept: the document may
// have mounted the host's.
func (b *blueprint) makeDevice(l *plan, dir linux.Value, d specs.LinuxDevice) {
	kinds := map[string]uint32{"c": syscall.S_IFCHR, "u": syscall.S_IFCHR, "b": syscall.S_IFBLK, "p": syscall.S_IFIFO}
	kind, ok := kinds[d.Type]
	if !ok {
		l.Fail(fmt.Errorf("linux.devices: %s: type %.10q: want c, u, b or p", d.Path, d.Type))
	}
	mode := os.FileMode(0o666)
	if d.FileMode != nil {
		mode = *d.FileMode
	}
	l.shell("mknod", "-m", fmt.Sprintf("%o", mode.Perm()), b.root+d.Path, d.Type, fmt.Sprint(d.Major), fmt.Sprint(d.Minor))
	made := l.Mknod(dir, path.Base(d.Path), kind|uint32(mode.Perm()), d.Major, d.Minor).Ignoring(syscall.EEXIST)
	if d.UID == nil && d.GID == nil && l.users == nil {
		return
	}
	var uid, gid uint32
	if d.UID != nil {
		uid = *d.UID
	}
	if d.GID != nil {
		gid = *d.GID
	}
	uid, gid = l.users.outward(uid, gid)
	made.Then(func() { l.Chown(dir, path.Base(d.Path), int(uid), int(gid)) })
}

// openConsole opens the container's terminal, and mounts it at /dev/console, where getty and others look for it.
func (b *blueprint) openConsole(l *plan) {
	terminal := b.program.openTerminal(l)
	l.Doing("make /dev/console")
	hosts := b.isHosts("/dev")
	if !hosts {
		l.Mknod(linux.Here(), "/dev/console", syscall.S_IFREG|0o600, 0, 0).Ignoring(syscall.EEXIST)
	}
	tree := l.CloneTree(terminal, "", false).Into()
	if moved := l.MoveTree(tree, linux.Here(), "/dev/console"); hosts {
		moved.Ignoring(syscall.ENOENT)
	}
	l.Close(tree)
}
