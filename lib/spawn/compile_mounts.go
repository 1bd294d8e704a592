package spawn

import (
	"fmt"
	"path/filepath"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// mountAll makes the mount namespace private and mounts what the document lists beneath the root, which it returns.
func (b *blueprint) mountAll(l *plan) linux.Value {
	propagation, err := rootPropagation(b.spec.Linux.RootfsPropagation)
	if err != nil {
		l.Fail(err)
	}
	if OwnMounts(b.spec.Linux) {
		l.Doing("make the mounts our own")
		l.mount("", "/", "", propagation, "")
	}
	// pivot_root(2) needs the new root to be a mount point that is not shared.
	root := b.mountRoot(l, propagation)
	for _, m := range b.spec.Mounts {
		l.Doing("mount " + m.Destination)
		if err := b.mount(l, root, m); err != nil {
			l.Fail(fmt.Errorf("mount %s: %w", m.Destination, err))
		}
	}
	return root
}

// mountRoot makes the root a mount point that is not shared, and returns it.
func (b *blueprint) mountRoot(l *plan, propagation uintptr) linux.Value {
	l.Doing("mount the root")
	if b.parent != "" {
		l.mount("", b.parent, "", linux.MsPrivate, "")
	}
	if b.wantsNodes() && OwnMounts(b.spec.Linux) {
		b.mountRootOnNodes(l)
	} else {
		l.mount(b.root, b.root, "", linux.MsBind|linux.MsRec, "")
	}
	if b.parent != "" || propagation&(linux.MsSlave|linux.MsPrivate) != 0 {
		l.mount("", b.root, "", linux.MsPrivate, "")
	}
	root := l.Open(b.root, linux.OPath|syscall.O_DIRECTORY).Into()
	if b.wantsNodes() && !OwnMounts(b.spec.Linux) {
		l.Doing("make the nodes of the container's own")
		b.mountNodes(l)
		l.own.shown = l.own.made
	}
	return root
}

// mount adds a mount by paths.
func (s *plan) mount(source, target, fstype string, flags uintptr, data string) linux.Step {
	return s.mountAt(target, source, target, fstype, flags, data)
}

// mountAt adds a mount whose target is traced as place.
func (s *plan) mountAt(place, source, target, fstype string, flags uintptr, data string) linux.Step {
	if linux.Tracing() {
		s.shell(linux.MountCommand(source, place, fstype, flags, data)...)
	}
	return s.Mount(source, target, fstype, flags, data).
		Words(func() []string { return linux.MountCommand(source, place, fstype, flags, data) })
}

// mount makes one mount of the document. It opens the target beneath the root and mounts on the descriptor: links in
// the image, or made during the start, cannot lead out.
func (b *blueprint) mount(l *plan, root linux.Value, m specs.Mount) error {
	if !filepath.IsAbs(m.Destination) {
		return fmt.Errorf("the destination is not absolute")
	}
	if filepath.Clean(m.Destination) == "/" {
		return fmt.Errorf("the destination is the root")
	}
	o := parseOptions(m.Options)
	switch {
	case m.Type == "cgroup" || m.Type == "cgroup2":
		b.mountCgroups(l, root, m.Destination, o)
		return nil
	case o.flags&linux.MsRemount != 0:
		b.remount(l, root, m.Destination, o)
		return nil
	case m.Type == "bind" || o.flags&linux.MsBind != 0:
		return b.bind(l, root, m, o)
	}
	o.data = b.ownData(m.Type, o.data)
	if o.copyUp && !b.isEmpty(m.Destination) {
		return fmt.Errorf("tmpcopyup is supported only for empty directories, and the image has files in it")
	}
	target := b.mountPoint(l, root, m)
	// The target is the working directory: mount(2) takes no descriptor.
	l.Fchdir(target)
	l.Close(target)
	mounted := l.mountAt(filepath.Join(b.root, m.Destination), m.Source, ".", m.Type, o.flags, o.data)
	finish := func() { b.finishMount(l, root, m.Destination, o) }
	if m.Type == "mqueue" {
		mounted.Ignoring(syscall.ENODEV).Then(finish) // a kernel without POSIX queues
	} else {
		finish()
	}
	return nil
}

// mountPoint returns the directory to mount on. A link there would put /proc and /sys elsewhere, and writes to /proc
// would go into the image.
func (b *blueprint) mountPoint(l *plan, root linux.Value, m specs.Mount) linux.Value {
	if m.Type != "proc" && m.Type != "sysfs" {
		return l.mkdirAll(root, m.Destination)
	}
	if parent := filepath.Dir(filepath.Clean(m.Destination)); parent != "/" {
		l.Close(l.mkdirAll(root, parent))
	}
	opened := l.OpenInRoot(root, m.Destination, linux.OPath|syscall.O_DIRECTORY|syscall.O_NOFOLLOW).
		Ignoring(syscall.ENOENT).Means(syscall.ENOTDIR, "it is a link in the image, or no directory")
	target := opened.Into()
	opened.OrElse(func() { l.mkdirAllInto(root, m.Destination, target) })
	return target
}

// bind binds a file or directory of the host. The mount gets its options before it is attached, so that it is never
// visible without them.
func (b *blueprint) bind(l *plan, root linux.Value, m specs.Mount, o options) error {
	source := b.absolute(m.Source)
	isDir, err := b.isDir(source)
	if err != nil {
		return fmt.Errorf("source %s: %w", source, errnoOf(err))
	}
	l.shell(linux.MountCommand(source, filepath.Join(b.root, m.Destination), "", o.flags|linux.MsBind, o.data)...)
	tree := l.CloneTree(linux.Here(), source, o.flags&linux.MsRec != 0).Into()
	if attr := linux.AttrOfFlags(o.flags, o.clear); attr != (linux.MountAttr{}) {
		l.SetMountAttr(tree, "", false, attr)
	}
	if o.attr != (linux.MountAttr{}) {
		l.SetMountAttr(tree, "", true, o.attr)
	}
	if u := b.idMapOfMount(m); u != nil {
		l.MapMount(tree, b.program.fds.users[u]).Means(syscall.EINVAL, "its file system cannot be seen with the ids of other users")
	}
	var target linux.Value
	if isDir {
		target = l.mkdirAll(root, m.Destination)
	} else {
		target = l.createFile(root, m.Destination)
	}
	l.MoveTree(tree, target, "")
	l.Close(target)
	for _, p := range o.propagation {
		l.SetMountAttr(tree, "", p&linux.MsRec != 0, linux.MountAttr{Propagation: uint64(p &^ linux.MsRec)})
	}
	l.Close(tree)
	return nil
}

// remount changes an existing mount: with bind its flags, else those of its file system.
func (b *blueprint) remount(l *plan, root linux.Value, destination string, o options) {
	if o.flags&linux.MsBind != 0 {
		target := l.OpenInRoot(root, destination, linux.OPath).Into()
		l.SetMountAttr(target, "", false, linux.AttrOfFlags(o.flags, o.clear))
		l.Close(target)
	} else {
		target := l.OpenInRoot(root, destination, linux.OPath|syscall.O_DIRECTORY).Into()
		l.Fchdir(target)
		l.Close(target)
		l.mountAt(filepath.Join(b.root, destination), "", ".", "", o.flags, o.data)
	}
	b.finishMount(l, root, destination, o)
}

// finishMount sets what mount(2) does not take in the first call. It opens the target again: the old descriptor is
// below the mount.
func (b *blueprint) finishMount(l *plan, root linux.Value, destination string, o options) {
	if len(o.propagation) == 0 && o.attr == (linux.MountAttr{}) {
		return
	}
	target := l.OpenInRoot(root, destination, linux.OPath).Into()
	for _, p := range o.propagation {
		l.SetMountAttr(target, "", p&linux.MsRec != 0, linux.MountAttr{Propagation: uint64(p &^ linux.MsRec)})
	}
	if o.attr != (linux.MountAttr{}) {
		l.SetMountAttr(target, "", true, o.attr)
	}
	l.Close(target)
}

// mountCgroups shows the container its own control groups, in one directory for each hierarchy of the host.
func (b *blueprint) mountCgroups(l *plan, root linux.Value, destination string, o options) {
	flags := o.flags &^ (linux.MsBind | linux.MsRec)
	attr := linux.AttrOfFlags(flags, 0)
	place := filepath.Join(b.root, destination)
	attach := func(source string, dir linux.Value, name string) {
		l.shell(linux.MountCommand(source, filepath.Join(place, name), "", linux.MsBind, "")...)
		tree := l.CloneTree(linux.Here(), source, false).Into()
		l.SetMountAttr(tree, "", false, attr)
		l.MoveTree(tree, dir, name)
		l.Close(tree)
	}
	target := l.mkdirAll(root, destination)
	defer func() { l.Close(target) }()
	if len(b.cgroups) == 1 && b.cgroups[0].name == "" { // the unified hierarchy alone
		attach(b.cgroups[0].source, target, "")
		return
	}
	l.Fchdir(target)
	l.mountAt(place, "tmpfs", ".", "tmpfs", flags&^linux.MsRdonly, "mode=755")
	l.Close(target)
	target = l.OpenInRoot(root, destination, linux.OPath).Into()
	for _, c := range b.cgroups {
		l.Mkdir(target, c.name, 0o755)
		attach(c.source, target, c.name)
	}
	if attr.Set&linux.AttrRdonly != 0 {
		l.SetMountAttr(target, "", false, linux.MountAttr{Set: linux.AttrRdonly})
	}
}
