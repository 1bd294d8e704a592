package linux

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Overlay describes an overlay mount (kernel: filesystems/overlayfs). All paths are absolute.
type Overlay struct {
	Lower  []string // read-only layers, topmost first; at least one
	Upper  string   // receives all writes
	Work   string   // empty directory on the file system of Upper, used by the kernel
	Target string
	Owner  *[2]uint32 // user and group for the kernel's accesses to Work; nil: ours
}

// MountOverlay mounts an overlay. The options of mount(2) are limited to a page. If the layers need more, they are
// given as descriptors, relative to /proc/self/fd.
func MountOverlay(o Overlay) error {
	data := o.options(o.Lower)
	argv := MountCommand("overlay", o.Target, "overlay", 0, data)
	Trace(argv...)
	if len(data) < pageSize && o.Owner == nil {
		return mount(argv, "overlay", o.Target, "overlay", 0, data)
	}
	done := make(chan error)
	go func() { done <- o.mountApart(argv, data) }()
	return <-done
}

// mountApart changes the attributes of its thread, which ends with the goroutine that is locked to it.
func (o Overlay) mountApart(argv []string, data string) error {
	runtime.LockOSThread()
	if o.Owner != nil {
		if err := changeFSUser(o.Owner[0], o.Owner[1]); err != nil {
			return err
		}
	}
	if len(data) < pageSize {
		return mount(argv, "overlay", o.Target, "overlay", 0, data)
	}
	return o.mountByNumber(argv)
}

// changeFSUser changes the user for file access of this thread (setfsuid(2)) and keeps all capabilities.
func changeFSUser(uid, gid uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("get capabilities: %w", err)
	}
	_, _, _ = unix.RawSyscall(unix.SYS_SETFSGID, uintptr(gid), 0, 0) // neither reports failure
	_, _, _ = unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0)
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	return nil
}

// mountByNumber changes the working directory of its thread.
func (o Overlay) mountByNumber(argv []string) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare file system attributes: %w", err)
	}
	numbers := make([]string, len(o.Lower))
	for i, dir := range o.Lower {
		f, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		numbers[i] = strconv.Itoa(int(f.Fd()))
	}
	if err := unix.Chdir("/proc/self/fd"); err != nil {
		return fmt.Errorf("chdir /proc/self/fd: %w", err)
	}
	return mount(argv, "overlay", o.Target, "overlay", 0, o.options(numbers))
}

func (o Overlay) options(lower []string) string {
	// A backslash escapes the separators.
	escape := strings.NewReplacer(`\`, `\\`, ",", `\,`, ":", `\:`)
	escaped := make([]string, len(lower))
	for i, dir := range lower {
		escaped[i] = escape.Replace(dir)
	}
	return "lowerdir=" + strings.Join(escaped, ":") + ",upperdir=" + escape.Replace(o.Upper) + ",workdir=" + escape.Replace(o.Work)
}
