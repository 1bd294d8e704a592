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

// A container gets no inode of the host's /dev. Its root could change mode, owner and times of one for all (chmod 0 on a
// path that the host's null device masks, fchmod(2) of a standard input that is /dev/null), and lock it. So what masks a
// file, and what stands for a stream that nobody gave or that is such a device, is a node on a tmpfs of the container's
// own. Nothing that the image or the document puts into /dev has a say in it.
//
// The tmpfs is mounted below the root, on the same directory: there it belongs to the mount namespace, as what is bound
// from it must (older kernels bind nothing from a mount that is nowhere), nobody inside can reach it, and it goes with
// the old root. A mount that is taken away by itself costs milliseconds (the kernel waits for RCU).

// node is a device of the host's among the streams that is replaced, and how it was opened; "" for none.
type node struct {
	name  string
	flags int
}

const memoryMajor = 1 // of the null device and its like

// memoryDevices calls f for the devices that can be made anew: every container has them, and nothing but the number makes
// one what it is.
func memoryDevices(f func(name string, minor int64)) {
	for _, d := range defaultDevices() {
		if d.Major == memoryMajor {
			f(path.Base(d.Path), d.Minor)
		}
	}
}

// nodeOf returns what takes the place of a stream that the program has from our caller: a null device, mostly. Files and
// terminals are what the caller wants the program to have.
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

// nullNode takes the place of a stream that nobody gave.
func nullNode() node { return node{"null", syscall.O_RDWR} }

// names returns the devices that are to be made.
func (d *descriptors) names() []string {
	var names []string
	for _, n := range d.nodes {
		if n.name != "" {
			names = append(names, n.name)
		}
	}
	return names
}

// ownNodes are the tmpfs of the container's own: as it was made, and the read-only mount that masks are bound from.
type ownNodes struct {
	made, shown linux.Value
}

const (
	nodesLimit = "16" // inodes: a root with CAP_SYS_ADMIN may make a mask writable, and fill it
	maskDir    = "empty"
	maskFile   = "dev/null" // as mountinfo(5) and /proc/PID/fd show it
)

// wantsNodes reports whether the container has something that takes nodes of its own.
func (b *blueprint) wantsNodes() bool {
	return len(b.spec.Linux.MaskedPaths) > 0 || len(b.program.fds.names()) > 0
}

// mountRootOnNodes makes the root a mount point with the nodes' tmpfs below it.
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

// mountNodes mounts the tmpfs on the root, and puts the streams on it.
func (b *blueprint) mountNodes(l *plan) {
	l.Mount("tmpfs", b.root, "tmpfs", linux.MsNosuid|linux.MsNoexec, "mode=755,size=4k,nr_inodes="+nodesLimit)
	l.own.made = l.Open(b.root, linux.OPath|syscall.O_DIRECTORY).Into()
	l.makeNodes(l.own.made, append(b.program.fds.names(), "null"))
	l.Mkdir(l.own.made, maskDir, 0o555)
	l.openNodes(l.own.made, b.program.fds.nodes)
}

// dropNodes closes what nothing is bound from any more. Where the mounts are not the container's alone, the tmpfs was
// mounted on the root, and goes.
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

// openNodes puts nodes of the tree in the place of streams.
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

// openNodesInside does so for a program that comes into a running container: its own devices stand in /dev. Its root may
// have put something else there, so what is opened is asked what it is. A tmpfs that is there for this alone is for
// containers without these devices: the kernel takes long to take it away.
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

// maskPath hides a file behind a null device, and a directory behind an empty one. Which it is, is asked first: a mount that
// was made for the wrong one would have to be taken away.
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

// showMask notes what a shell does for a mask: kernels have the same files here as inside.
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
