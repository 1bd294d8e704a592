package spawn

import (
	"errors"
	"fmt"
	"os"
	"path"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// makeDevices makes the device files and links that every container has (runtime-spec,
// config-linux.md "Default Devices"), and those that the document asks for.
func (b *build) makeDevices(root *linux.Root) error {
	for _, d := range defaultDevices() {
		if err := b.makeDevice(root, d); err != nil {
			return err
		}
	}
	for _, d := range b.Spec.Linux.Devices {
		if err := b.makeDevice(root, d); err != nil {
			return err
		}
	}
	for _, link := range [][2]string{
		{"/proc/self/fd", "/dev/fd"}, {"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"}, {"pts/ptmx", "/dev/ptmx"},
	} {
		target, name := link[0], link[1]
		linux.Trace("ln", "-s", target, b.Root+name)
		if err := root.Symlink(target, name); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
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

// makeDevice makes one device file with its mode and owner. One that is there already is left: the
// document may have mounted the host's.
func (b *build) makeDevice(root *linux.Root, d specs.LinuxDevice) error {
	kinds := map[string]uint32{"c": syscall.S_IFCHR, "u": syscall.S_IFCHR, "b": syscall.S_IFBLK, "p": syscall.S_IFIFO}
	kind, ok := kinds[d.Type]
	if !ok {
		return fmt.Errorf("linux.devices: %s: type %.10q: want c, u, b or p", d.Path, d.Type)
	}
	mode := os.FileMode(0o666)
	if d.FileMode != nil {
		mode = *d.FileMode
	}
	linux.Trace("mknod", "-m", fmt.Sprintf("%o", mode.Perm()), b.Root+d.Path, d.Type, fmt.Sprint(d.Major), fmt.Sprint(d.Minor))
	dir, err := root.MkdirAll(path.Dir(d.Path), 0o755) // /dev/net of /dev/net/tun
	if err != nil {
		return fmt.Errorf("make device %s: %w", d.Path, err)
	}
	dir.Close()
	err = root.Mknod(d.Path, kind|uint32(mode.Perm()), d.Major, d.Minor)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	file, err := root.Open(d.Path, linux.OPath|syscall.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer file.Close()
	uid, gid := 0, 0
	if d.UID != nil {
		uid = int(*d.UID)
	}
	if d.GID != nil {
		gid = int(*d.GID)
	}
	if err := os.Chown(linux.FDPath(file), uid, gid); err != nil {
		return fmt.Errorf("chown %s: %w", d.Path, errnoOf(err))
	}
	if err := os.Chmod(linux.FDPath(file), mode.Perm()); err != nil { // the umask has cut mknod's
		return fmt.Errorf("chmod %s: %w", d.Path, errnoOf(err))
	}
	return nil
}

// bindConsole puts the container's terminal at /dev/console, where getty and others look for it.
func (b *build) bindConsole() error {
	file, err := os.OpenFile("/dev/console", os.O_CREATE|os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NOCTTY, 0o600)
	if err != nil {
		return fmt.Errorf("make /dev/console: %w", errnoOf(err))
	}
	file.Close()
	return linux.Mount("/proc/self/fd/0", "/dev/console", "", linux.MsBind, "")
}
