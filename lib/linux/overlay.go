package linux

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Overlay says what an overlay file system is made of (kernel: filesystems/overlayfs). All paths are
// absolute.
type Overlay struct {
	Lower  []string // read-only layers, the topmost first; at least one
	Upper  string   // takes what is written
	Work   string   // empty, on the file system of Upper; the kernel's own
	Target string
	Owner  *[2]uint32 // user and group as whom the kernel writes to Work; nil for ours
}

// MountOverlay mounts an overlay. mount(2) takes a page of options; where many layers need more, they
// go as numbers of open files, which the kernel then finds in the working directory.
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

// mountApart changes its thread, which therefore is not given back: the goroutine ends while it is locked to it.
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

// changeFSUser makes the thread reach for files as another user (setfsuid(2)), and keep all its capabilities.
func changeFSUser(uid, gid uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("get capabilities: %w", err)
	}
	_, _, _ = unix.RawSyscall(unix.SYS_SETFSGID, uintptr(gid), 0, 0) // neither says whether it has done it
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
	// The kernel takes a backslash before what else would end a path.
	escape := strings.NewReplacer(`\`, `\\`, ",", `\,`, ":", `\:`)
	escaped := make([]string, len(lower))
	for i, dir := range lower {
		escaped[i] = escape.Replace(dir)
	}
	return "lowerdir=" + strings.Join(escaped, ":") + ",upperdir=" + escape.Replace(o.Upper) + ",workdir=" + escape.Replace(o.Work)
}
