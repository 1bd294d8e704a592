package linux

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine returns the hardware's name as uname(2) has it: x86_64.
func Machine() string {
	var names unix.Utsname
	if unix.Uname(&names) != nil { // fails for bad pointers alone
		return ""
	}
	return unix.ByteSliceToString(names.Machine[:])
}

// HasSeccomp reports whether the kernel has seccomp filters (proc_sys_kernel(5)).
func HasSeccomp() bool {
	_, err := os.Stat("/proc/sys/kernel/seccomp/actions_avail")
	return err == nil
}

// HasSELinux reports whether the host has SELinux, enforcing or not.
func HasSELinux() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil
}

// HasUserNS reports whether the kernel has user namespaces and the host allows any (namespaces(7)).
func HasUserNS() bool {
	limit, err := os.ReadFile("/proc/sys/user/max_user_namespaces")
	return err == nil && string(bytes.TrimSpace(limit)) != "0"
}

// HasIPv6 reports whether the kernel speaks IPv6, and it is not switched off for new links.
func HasIPv6() bool {
	off, err := os.ReadFile("/proc/sys/net/ipv6/conf/default/disable_ipv6")
	return err == nil && string(bytes.TrimSpace(off)) == "0"
}

// HasFilesystem reports whether the kernel has a type of file system, or a module of that name, which mount(2) loads.
func HasFilesystem(name string) bool {
	known, err := os.ReadFile("/proc/filesystems")
	for line := range strings.Lines(string(known)) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[len(fields)-1] == name {
			return err == nil
		}
	}
	modules, _ := os.ReadFile(filepath.Join("/lib/modules", KernelRelease(), "modules.dep"))
	return bytes.Contains(modules, []byte("/"+name+".ko"))
}
