package spawn

import (
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// protect sets the sysctls, makes the read-only paths read-only and masks the masked paths. All are opened beneath the
// root. The masks are nodes of the container's own (compile_nodes.go), whatever the image or the document puts into
// /dev.
func (b *blueprint) protect(l *plan, root linux.Value) {
	for _, key := range slices.Sorted(maps.Keys(b.spec.Linux.Sysctl)) {
		value := b.spec.Linux.Sysctl[key]
		l.Doing("set sysctl " + key + "=" + value)
		l.shell("sysctl", "-w", key+"="+value)
		// A mount through a link in a shared volume can end up in /proc/sys. The value must go to the kernel, or
		// nowhere.
		proc := l.OpenInRoot(root, "/proc", linux.OPath|syscall.O_DIRECTORY).Into()
		fd := l.OpenBeneath(proc, "sys/"+strings.ReplaceAll(key, ".", "/"), syscall.O_WRONLY).
			Means(syscall.EXDEV, "something else is mounted there").Into()
		l.WriteTo(fd, value)
		l.Close(fd)
		l.Close(proc)
	}
	for _, path := range b.spec.Linux.ReadonlyPaths {
		l.Doing("make " + path + " read-only")
		b.ifThere(l, root, path, func(target linux.Value) {
			l.shell("mount", "--rbind", "-o", "ro", path, path)
			tree := l.CloneTree(target, "", true).Into()
			l.SetMountAttr(tree, "", true, linux.MountAttr{Set: linux.AttrRdonly})
			l.MoveTree(tree, target, "")
			l.Close(tree)
		})
	}
	for _, path := range b.spec.Linux.MaskedPaths {
		l.Doing("mask " + path)
		b.maskPath(l, root, path)
	}
}

// ifThere adds steps about a path that not every kernel has.
func (b *blueprint) ifThere(l *plan, root linux.Value, path string, add func(target linux.Value)) {
	opened := l.OpenInRoot(root, path, linux.OPath).Ignoring(syscall.ENOENT, syscall.ENOTDIR)
	target := opened.Into()
	opened.Then(func() {
		add(target)
		l.Close(target)
	})
}

// lockRoot makes the root read-only if the document says so.
func (b *blueprint) lockRoot(l *plan) {
	if b.spec.Root.Readonly {
		l.Doing("make the root read-only")
		l.shell("mount", "-o", "remount,bind,ro", "/")
		l.SetMountAttr(linux.Here(), "/", false, linux.MountAttr{Set: linux.AttrRdonly})
	}
}
