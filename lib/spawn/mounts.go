package spawn

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// mountAll makes the mount namespace ours and mounts what the document lists beneath the root.
func (b *build) mountAll() (*linux.Root, error) {
	propagation, err := rootPropagation(b.Spec.Linux.RootfsPropagation)
	if err != nil {
		return nil, err
	}
	if err := linux.Mount("", "/", "", propagation, ""); err != nil {
		return nil, err
	}
	// pivot_root(2) wants the new root to be a mount point, and one that is not shared.
	if err := linux.Mount(b.Root, b.Root, "", linux.MsBind|linux.MsRec, ""); err != nil {
		return nil, err
	}
	if propagation&(linux.MsSlave|linux.MsPrivate) != 0 {
		if err := linux.Mount("", b.Root, "", linux.MsPrivate, ""); err != nil {
			return nil, err
		}
	}
	root, err := linux.OpenRoot(b.Root)
	if err != nil {
		return nil, err
	}
	for _, m := range b.Spec.Mounts {
		if err := b.mount(root, m); err != nil {
			root.Close()
			return nil, fmt.Errorf("mount %s: %w", m.Destination, err)
		}
	}
	return root, nil
}

func rootPropagation(name string) (uintptr, error) {
	if name == "" {
		return linux.MsRec | linux.MsSlave, nil // umounts of the host reach us, ours do not reach the host
	}
	o := parseOptions([]string{name})
	if len(o.propagation) != 1 || o.data != "" {
		return 0, fmt.Errorf("linux.rootfsPropagation: %.40q: want [r]shared, [r]slave, [r]private or [r]unbindable", name)
	}
	return o.propagation[0] | linux.MsRec, nil
}

// mount makes one mount of the document. The target is opened beneath the root and mounted on by
// its descriptor: links in the image, or put there meanwhile, cannot lead out.
func (b *build) mount(root *linux.Root, m specs.Mount) error {
	o := parseOptions(m.Options)
	if m.Type == "cgroup" || m.Type == "cgroup2" {
		return b.mountCgroups(root, m, o)
	}
	bind := m.Type == "bind" || o.flags&linux.MsBind != 0
	source := m.Source
	if bind {
		source = b.absolute(m.Source)
		o.flags |= linux.MsBind
	}
	target, err := openTarget(root, m, source, bind)
	if err != nil {
		return err
	}
	defer target.Close()
	// The kernel takes only binding and recursion when it binds; the rest is set afterwards.
	first := o.flags
	if bind {
		first &= linux.MsBind | linux.MsRec
	}
	kind := m.Type
	if bind {
		kind = ""
	}
	err = linux.MountOn(target, source, kind, first, o.data)
	if m.Type == "mqueue" && errors.Is(err, syscall.ENODEV) {
		return nil // a kernel without POSIX queues
	}
	if err != nil {
		return err
	}
	return finishMount(root, m.Destination, bind, o)
}

// finishMount sets what mount(2) does not take in the first call. The target is opened again: its old
// descriptor means what the mount hides.
func finishMount(root *linux.Root, destination string, bind bool, o options) error {
	target, err := root.Open(destination, linux.OPath)
	if err != nil {
		return err
	}
	defer target.Close()
	if extra := o.flags &^ (linux.MsBind | linux.MsRec); bind && (extra != 0 || o.clear != 0) {
		if err := linux.ChangeMountFlags(target, extra, o.clear); err != nil {
			return err
		}
	}
	for _, p := range o.propagation {
		if err := linux.MountOn(target, "", "", p, ""); err != nil {
			return err
		}
	}
	if o.attr.Set != 0 || o.attr.Clear != 0 {
		return linux.MountSetattr(linux.FDPath(target), true, o.attr)
	}
	return nil
}

// openTarget opens what is mounted on, and makes it where it is missing: a directory, or an empty
// file for a file.
func openTarget(root *linux.Root, m specs.Mount, source string, bind bool) (*os.File, error) {
	if !filepath.IsAbs(m.Destination) {
		return nil, fmt.Errorf("the destination is not absolute")
	}
	if filepath.Clean(m.Destination) == "/" {
		return nil, fmt.Errorf("the destination is the root")
	}
	if m.Type == "proc" || m.Type == "sysfs" {
		// A link here would put the mount elsewhere, and what we write to /proc into the image.
		if info, err := root.Open(m.Destination, linux.OPath|syscall.O_NOFOLLOW); err == nil {
			stat, err := info.Stat()
			info.Close()
			if err == nil && stat.Mode()&os.ModeSymlink != 0 {
				return nil, fmt.Errorf("it is a link in the image")
			}
		}
	}
	if bind {
		info, err := os.Stat(source)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", source, errnoOf(err))
		}
		if !info.IsDir() {
			return root.CreateFile(m.Destination, 0o644)
		}
	}
	return root.MkdirAll(m.Destination, 0o755)
}

// mountCgroups shows the container its own groups, one directory per hierarchy as the host has them.
func (b *build) mountCgroups(root *linux.Root, m specs.Mount, o options) error {
	target, err := root.MkdirAll(m.Destination, 0o755)
	if err != nil {
		return err
	}
	defer target.Close()
	final := o.flags &^ (linux.MsBind | linux.MsRec)
	if len(b.Cgroups) == 1 && b.Cgroups[0].Name == "" { // the unified hierarchy alone
		if err := linux.MountOn(target, b.Cgroups[0].Source, "", linux.MsBind|linux.MsRec, ""); err != nil {
			return err
		}
		return finishMount(root, m.Destination, true, options{flags: final})
	}
	flags := final &^ linux.MsRdonly
	if err := linux.MountOn(target, "tmpfs", "tmpfs", flags, "mode=755"); err != nil {
		return err
	}
	for _, c := range b.Cgroups {
		destination := filepath.Join(m.Destination, c.Name)
		dir, err := root.MkdirAll(destination, 0o755)
		if err != nil {
			return err
		}
		err = linux.MountOn(dir, c.Source, "", linux.MsBind, "")
		dir.Close()
		if err != nil {
			return err
		}
		if err := finishMount(root, destination, true, options{flags: final}); err != nil {
			return err
		}
	}
	return finishMount(root, m.Destination, true, options{flags: final})
}

// options are those of one mount, sorted by who takes them.
type options struct {
	flags       uintptr // of mount(2)
	clear       uintptr // flags that the source may have and this mount must not: rw, exec, …
	propagation []uintptr
	attr        linux.MountAttr // recursive ones: rro, rnosuid, …
	data        string          // the file system's own
}

// parseOptions sorts the options of a mount (runtime-spec, config.md "Linux mount options"). What is
// not listed there is the file system's own.
func parseOptions(words []string) options {
	var o options
	var data []string
	flags, attributes := mountFlags(), recursiveAttributes()
	for _, word := range words {
		if f, ok := flags[word]; ok {
			switch {
			case f.propagation:
				o.propagation = append(o.propagation, f.flag)
			case f.clear:
				o.flags &^= f.flag
				o.clear |= f.flag
			default:
				o.flags |= f.flag
				o.clear &^= f.flag
			}
			continue
		}
		if a, ok := attributes[word]; ok {
			o.attr.Set |= a.Set
			o.attr.Clear |= a.Clear
			continue
		}
		data = append(data, word)
	}
	o.data = strings.Join(data, ",")
	return o
}

type mountFlag struct {
	flag        uintptr
	clear       bool
	propagation bool
}

func mountFlags() map[string]mountFlag {
	return map[string]mountFlag{
		"defaults": {}, "bind": {flag: linux.MsBind}, "rbind": {flag: linux.MsBind | linux.MsRec},
		"ro": {flag: linux.MsRdonly}, "rw": {flag: linux.MsRdonly, clear: true},
		"nosuid": {flag: linux.MsNosuid}, "suid": {flag: linux.MsNosuid, clear: true},
		"nodev": {flag: linux.MsNodev}, "dev": {flag: linux.MsNodev, clear: true},
		"noexec": {flag: linux.MsNoexec}, "exec": {flag: linux.MsNoexec, clear: true},
		"sync": {flag: linux.MsSynchronous}, "async": {flag: linux.MsSynchronous, clear: true},
		"dirsync": {flag: linux.MsDirsync}, "remount": {flag: linux.MsRemount},
		"mand": {flag: linux.MsMandlock}, "nomand": {flag: linux.MsMandlock, clear: true},
		"noatime": {flag: linux.MsNoatime}, "atime": {flag: linux.MsNoatime, clear: true},
		"nodiratime": {flag: linux.MsNodiratime}, "diratime": {flag: linux.MsNodiratime, clear: true},
		"relatime": {flag: linux.MsRelatime}, "norelatime": {flag: linux.MsRelatime, clear: true},
		"strictatime": {flag: linux.MsStrictatime}, "nostrictatime": {flag: linux.MsStrictatime, clear: true},
		"lazytime": {flag: linux.MsLazytime}, "nolazytime": {flag: linux.MsLazytime, clear: true},
		"nosymfollow": {flag: linux.MsNosymfollow}, "symfollow": {flag: linux.MsNosymfollow, clear: true},
		"silent": {flag: linux.MsSilent}, "loud": {flag: linux.MsSilent, clear: true},
		"shared": {flag: linux.MsShared, propagation: true}, "rshared": {flag: linux.MsShared | linux.MsRec, propagation: true},
		"slave": {flag: linux.MsSlave, propagation: true}, "rslave": {flag: linux.MsSlave | linux.MsRec, propagation: true},
		"private": {flag: linux.MsPrivate, propagation: true}, "rprivate": {flag: linux.MsPrivate | linux.MsRec, propagation: true},
		"unbindable":  {flag: linux.MsUnbindable, propagation: true},
		"runbindable": {flag: linux.MsUnbindable | linux.MsRec, propagation: true},
	}
}

func recursiveAttributes() map[string]linux.MountAttr {
	set := func(a uint64) linux.MountAttr { return linux.MountAttr{Set: a} }
	unset := func(a uint64) linux.MountAttr { return linux.MountAttr{Clear: a} }
	return map[string]linux.MountAttr{
		"rro": set(linux.AttrRdonly), "rrw": unset(linux.AttrRdonly),
		"rnosuid": set(linux.AttrNosuid), "rsuid": unset(linux.AttrNosuid),
		"rnodev": set(linux.AttrNodev), "rdev": unset(linux.AttrNodev),
		"rnoexec": set(linux.AttrNoexec), "rexec": unset(linux.AttrNoexec),
		"rnodiratime": set(linux.AttrNodiratime), "rdiratime": unset(linux.AttrNodiratime),
		"rnosymfollow": set(linux.AttrNosymfollow), "rsymfollow": unset(linux.AttrNosymfollow),
		"rnoatime": {Set: linux.AttrNoatime, Clear: linux.AttrAtime}, "rstrictatime": {Set: linux.AttrStrictatime, Clear: linux.AttrAtime},
		"rrelatime": {Set: linux.AttrRelatime, Clear: linux.AttrAtime},
	}
}
