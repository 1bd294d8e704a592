package spawn

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// A container gets no inode of the host's /dev. If all shared one, its root could lock it for all, or change its mode,
// owner and times: chmod 0 on a path that the host's null device masks, or fchmod(2) of a standard input that is
// /dev/null. So what masks a file, or replaces such a stream, is a device node on a tmpfs of the container, whatever
// the image or the document puts into /dev.
//
// The tmpfs is mounted below the root, on the same directory. There it belongs to the mount namespace, which older
// kernels need to bind from it; no process in the container can reach it; and it disappears with the old root.
// Unmounting it alone would take milliseconds (the kernel waits for RCU).

// node is the device that replaces a stream, and the flags that the stream was opened with; the zero node replaces
// none.
type node struct {
	name  string
	flags int
}

const memoryMajor = 1 // of /dev/null and the other memory devices (mem(4))

// memoryDevices calls f for the memory devices that every container has. They can be made anew: they have no state, only
// a number.
func memoryDevices(f func(name string, minor int64)) {
	for _, d := range defaultDevices() {
		if d.Major == memoryMajor {
			f(path.Base(d.Path), d.Minor)
		}
	}
}

// nodeOf returns the node that replaces a stream of our caller, mostly /dev/null. Files and terminals are passed on.
func nodeOf(fd int) node {
	major, minor, flags, ok := linux.DeviceOfStream(fd)
	if !ok || major != memoryMajor {
		return node{}
	}
	found := node{flags: flags}
	memoryDevices(func(name string, n int64) {
		if n == int64(minor) {
			found.name = name
		}
	})
	return found
}

// nullNode returns the node for a stream that the caller did not give.
func nullNode() node { return node{"null", syscall.O_RDWR} }

// names returns the names of the devices to make.
func (d *descriptors) names() []string {
	var names []string
	for _, n := range d.nodes {
		if n.name != "" {
			names = append(names, n.name)
		}
	}
	return names
}

// ownNodes is the tmpfs of the container's nodes: as it was made, and as the read-only mount that masks are bound from.
type ownNodes struct {
	made, shown linux.Value
}

const (
	nodesLimit = "16" // inodes: a root with CAP_SYS_ADMIN could make a mask writable and fill it
	maskDir    = "empty"
	maskFile   = "dev/null" // the name that mountinfo(5) and /proc/PID/fd show
)

// wantsNodes reports whether the container needs nodes of its own.
func (b *blueprint) wantsNodes() bool {
	return len(b.spec.Linux.MaskedPaths) > 0 || len(b.program.fds.names()) > 0
}

// mountRootOnNodes makes the root a mount point, with the tmpfs of the nodes below it.
func (b *blueprint) mountRootOnNodes(l *plan) {
	l.shell(linux.MountCommand(b.root, b.root, "", linux.MsBind|linux.MsRec, "")...)
	root := l.CloneTree(linux.Here(), b.root, true).Into()
	b.mountNodes(l)
	l.own.shown = l.CloneTree(l.own.made, "", false).Into()
	l.SetMountAttr(l.own.shown, "", false, linux.MountAttr{Set: linux.AttrRdonly})
	l.MoveTree(l.own.shown, l.own.made, "")
	l.MoveTree(root, l.own.shown, "")
	l.Close(root)
}

// mountNodes mounts the tmpfs on the root, and replaces the streams.
func (b *blueprint) mountNodes(l *plan) {
	l.Mount("tmpfs", b.root, "tmpfs", linux.MsNosuid|linux.MsNoexec, "mode=755,size=4k,nr_inodes="+nodesLimit)
	l.own.made = l.Open(b.root, linux.OPath|syscall.O_DIRECTORY).Into()
	l.makeNodes(l.own.made, append(b.program.fds.names(), "null"))
	l.Mkdir(l.own.made, maskDir, 0o555)
	l.openNodes(l.own.made, b.program.fds.nodes)
}

// dropNodes closes the tmpfs when nothing more is bound from it. Without a mount namespace of the container's own, it
// unmounts the tmpfs from the root.
func (b *blueprint) dropNodes(l *plan) {
	if !b.wantsNodes() {
		return
	}
	l.Doing("leave the nodes of the container's own")
	if !OwnMounts(b.spec.Linux) {
		l.Fchdir(l.own.made)
		l.Unmount(".")
	} else {
		l.Close(l.own.shown)
	}
	l.Close(l.own.made)
}

// makeNodes makes device files in a new tmpfs.
func (s *plan) makeNodes(tree linux.Value, names []string) {
	s.Mkdir(tree, "dev", 0o755)
	memoryDevices(func(name string, minor int64) {
		if slices.Contains(names, name) {
			s.Mknod(tree, "dev/"+name, syscall.S_IFCHR|0o666, memoryMajor, minor)
		}
	})
}

// openNodes replaces streams by nodes of the tree.
func (s *plan) openNodes(tree linux.Value, nodes [3]node) {
	for fd, n := range nodes {
		if n.name == "" {
			continue
		}
		opened := s.OpenBeneath(tree, "dev/"+n.name, n.flags|syscall.O_NOCTTY).Into()
		s.Dup(opened, fd)
		s.Close(opened)
	}
}

// openNodesInside replaces the streams of a program that enters a running container by the devices in its /dev. The
// container's root may have replaced those, so each is checked by its number. Only if the check fails does the program
// get nodes on a new tmpfs, which takes the kernel long to remove.
func (p *program) openNodesInside(l *plan) {
	for fd, n := range p.fds.nodes {
		if n.name == "" {
			continue
		}
		l.Doing("open /dev/" + n.name)
		nodes := [3]node{}
		nodes[fd] = n
		opened := l.OpenInRoot(linux.Here(), "/dev/"+n.name, n.flags|syscall.O_NOCTTY|syscall.O_NONBLOCK).Ignoring()
		file := opened.Into()
		var closed linux.Step
		opened.Then(func() {
			l.IsDevice(file, memoryMajor, minorOf(n.name)).Ignoring(syscall.ENXIO).Then(func() {
				l.Dup(file, fd)
				closed = l.Close(file)
			})
		})
		closed.OrElse(func() {
			tree := l.NewTmpfs("nr_inodes", nodesLimit)
			l.makeNodes(tree, []string{n.name})
			l.openNodes(tree, nodes)
			l.Close(tree)
		})
	}
}

func minorOf(name string) (minor uint32) {
	memoryDevices(func(other string, n int64) {
		if other == name {
			minor = uint32(n)
		}
	})
	return minor
}

// maskPath hides a file behind /dev/null, and a directory behind an empty one. It tests first which it is: a mount of
// the wrong kind would have to be removed.
func (b *blueprint) maskPath(l *plan, root linux.Value, masked string) {
	b.showMask(l, masked)
	b.ifThere(l, root, masked, func(target linux.Value) {
		mask := func(as string) (closed linux.Step) {
			tree := l.CloneTree(l.own.shown, as, false).Into()
			l.MoveTree(tree, target, "")
			return l.Close(tree)
		}
		var closed linux.Step
		l.Fchdir(target).Ignoring(syscall.ENOTDIR).Then(func() { closed = mask(maskDir) })
		closed.OrElse(func() { mask(maskFile) })
	})
}

// showMask records the equivalent shell command of a mask. The kernel has the same files here as in the container.
func (b *blueprint) showMask(l *plan, masked string) {
	if !linux.Tracing() {
		return
	}
	place := filepath.Join(b.root, masked)
	if info, err := os.Stat(masked); err == nil && info.IsDir() {
		l.shell(linux.MountCommand("tmpfs", place, "tmpfs", linux.MsRdonly, fmt.Sprintf("size=4k,nr_inodes=%s", nodesLimit))...)
	} else if err == nil {
		l.shell("mount", "--bind", "-o", "ro", filepath.Join(b.root, "dev/null"), place)
	}
}
