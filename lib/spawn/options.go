package spawn

import (
	"fmt"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
)

// rootPropagation returns the propagation of the container's mounts (mount_namespaces(7)) as flags of mount(2).
func rootPropagation(name string) (uintptr, error) {
	if name == "" {
		return linux.MsRec | linux.MsSlave, nil // unmounts of the host reach the container; its mounts do not reach the host
	}
	o := parseOptions([]string{name})
	if len(o.propagation) != 1 || o.data != "" {
		return 0, fmt.Errorf("linux.rootfsPropagation: %.40q: want [r]shared, [r]slave, [r]private or [r]unbindable", name)
	}
	return o.propagation[0] | linux.MsRec, nil
}

// options are the options of one mount, by the system call that takes them.
type options struct {
	flags       uintptr // of mount(2)
	clear       uintptr // flags that the source may have and this mount must not have: rw, exec, …
	propagation []uintptr
	attr        linux.MountAttr // recursive attributes: rro, rnosuid, …
	copyUp      bool            // tmpcopyup, runc's option for tmpfs: the files below the mount point show in the mount
	data        string          // for the file system
}

// parseOptions sorts the options of a mount (runtime-spec, config.md "Linux mount options"). Unknown words are for the
// file system.
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
		if word == "tmpcopyup" {
			o.copyUp = true
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
