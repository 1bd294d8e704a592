package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
)

// posture prints facts in groups. The first word of a line is the group.
func posture(out io.Writer) error {
	for _, group := range []func(io.Writer) error{status, mounts, protected, devices, powers, descriptors, surroundings} {
		if err := group(out); err != nil {
			return err
		}
	}
	return nil
}

// status prints ids, capabilities and seccomp mode (proc_pid_status(5)).
func status(out io.Writer) error {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(data), "\n") {
		key, value, _ := strings.Cut(line, ":")
		if strings.HasPrefix(key, "Cap") || slices.Contains([]string{"Uid", "Gid", "Groups", "Umask", "NoNewPrivs", "Seccomp", "Seccomp_filters"}, key) {
			fmt.Fprintf(out, "status %s %s\n", key, strings.Join(strings.Fields(value), " "))
		}
	}
	return nil
}

// mounts prints the mounts with their options, except those that differ in every container (proc_pid_mountinfo(5)).
func mounts(out io.Writer) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		words := strings.Fields(line)
		dash := slices.Index(words, "-")
		if dash < 6 || len(words) < dash+4 {
			return fmt.Errorf("mountinfo: %q", line)
		}
		own, super := strings.Split(words[5], ","), strings.Split(words[dash+3], ",")
		super = slices.DeleteFunc(super, func(o string) bool {
			return strings.Contains(o, "dir=") || strings.HasPrefix(o, "inode") || strings.HasPrefix(o, "xino") || o == "metacopy=on"
		})
		sort.Strings(own)
		sort.Strings(super)
		propagation := strings.Join(words[6:dash], " ")
		propagation = strings.TrimRight(propagation, "0123456789")
		lines = append(lines, fmt.Sprintf("mount %s %s %s super %s %s", words[4], words[dash+1], strings.Join(own, ","), strings.Join(super, ","), propagation))
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Fprintln(out, strings.TrimSpace(line))
	}
	return nil
}

// protected prints whether each path exists, has content, and can be written to.
func protected(out io.Writer) error {
	for _, path := range []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap",
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/self/oom_score_adj",
		"/sys/kernel/uevent_helper", "/sys/fs/cgroup", "/sys",
	} {
		info, err := os.Stat(path)
		if err != nil {
			fmt.Fprintf(out, "path %s %v\n", path, errno(err))
			continue
		}
		if info.IsDir() {
			entries, err := os.ReadDir(path)
			what := "full"
			if err == nil && len(entries) == 0 {
				what = "empty"
			}
			made := filepath.Join(path, "probe")
			err = os.Mkdir(made, 0o700)
			fmt.Fprintf(out, "path %s directory %s, mkdir: %v\n", path, what, errno(err))
			_ = os.Remove(made)
			continue
		}
		what := "file"
		if info.Sys().(*syscall.Stat_t).Rdev == 1<<8|3 {
			what = "null"
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		fmt.Fprintf(out, "path %s %s, write: %v\n", path, what, errno(err))
		if err == nil {
			f.Close()
		}
	}
	return nil
}

// devices prints the files in /dev, except open pseudoterminals.
func devices(out io.Writer) error {
	return filepath.Walk("/dev", func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		switch {
		case strings.HasPrefix(path, "/dev/pts/") && path != "/dev/pts/ptmx":
		case info.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(path)
			fmt.Fprintf(out, "dev %s -> %s %v\n", path, target, errno(err))
		default:
			fmt.Fprintf(out, "dev %s %s %d:%d %d:%d\n", path, info.Mode(), st.Uid, st.Gid, st.Rdev>>8&0xfff, st.Rdev&0xff)
		}
		return nil
	})
}

// powers tries operations that a container must not have, and a few that it must.
func powers(out io.Writer) error {
	try := func(what string, do func() error) { fmt.Fprintf(out, "try %s: %v\n", what, errno(do())) }
	for _, d := range []struct {
		name string
		kind uint32
		dev  int
	}{{"a disk", syscall.S_IFBLK, 8 << 8}, {"loop0", syscall.S_IFBLK, 7 << 8}, {"mem", syscall.S_IFCHR, 1<<8 | 1}, {"kmsg", syscall.S_IFCHR, 1<<8 | 11},
		{"fuse", syscall.S_IFCHR, 10<<8 | 229}, {"tun", syscall.S_IFCHR, 10<<8 | 200}, {"null", syscall.S_IFCHR, 1<<8 | 3}} {
		path := "/tmp-probe-device"
		try("mknod "+d.name, func() error { return syscall.Mknod(path, d.kind|0o600, d.dev) })
		try("open "+d.name, func() error {
			fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NONBLOCK, 0)
			if err == nil {
				err = syscall.Close(fd)
			}
			return err
		})
		_ = os.Remove(path)
	}
	try("mount", func() error { return syscall.Mount("none", "/mnt", "tmpfs", 0, "") })
	try("unshare user", func() error { return syscall.Unshare(syscall.CLONE_NEWUSER) })
	try("set the time", func() error { return syscall.Settimeofday(&syscall.Timeval{}) })
	try("set the hostname", func() error { return syscall.Sethostname([]byte("probe")) })
	try("chroot", func() error { return syscall.Chroot("/") })
	try("raw socket", func() error { return socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP) })
	try("packet socket", func() error { return socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0) })
	try("AF_ALG socket", func() error { return socket(38, syscall.SOCK_SEQPACKET, 0) })
	try("AF_VSOCK socket", func() error { return socket(40, syscall.SOCK_STREAM, 0) })
	try("bind port 80", func() error {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err == nil {
			err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: 80})
			_ = syscall.Close(fd)
		}
		return err
	})
	try("TIOCSTI", func() error {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, 0x5412, 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
	return nil
}

func socket(family, kind, protocol int) error {
	fd, err := syscall.Socket(family, kind, protocol)
	if err == nil {
		err = syscall.Close(fd)
	}
	return err
}

// descriptors prints the inherited file descriptors.
func descriptors(out io.Writer) error {
	for fd := range 1024 {
		var st syscall.Stat_t
		if syscall.Fstat(fd, &st) != nil {
			continue
		}
		// Those that Go opened are close-on-exec; inherited ones are not.
		flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if flags&syscall.FD_CLOEXEC == 0 {
			fmt.Fprintf(out, "descriptor %d\n", fd)
		}
	}
	return nil
}

// surroundings prints process ids, directory, environment, limits and sysctls.
func surroundings(out io.Writer) error {
	sid, _, _ := syscall.Syscall(syscall.SYS_GETSID, 0, 0, 0)
	fmt.Fprintf(out, "process pid %d session %d parent %d\n", os.Getpid(), sid, os.Getppid())
	cwd, err := os.Getwd()
	fmt.Fprintf(out, "process cwd %s %v\n", cwd, errno(err))
	env := os.Environ()
	sort.Strings(env)
	for _, word := range env {
		if !strings.HasPrefix(word, "HOSTNAME=") {
			fmt.Fprintf(out, "process env %s\n", word)
		}
	}
	for _, limit := range []struct {
		name   string
		number int
	}{{"core", syscall.RLIMIT_CORE}, {"nofile", syscall.RLIMIT_NOFILE}, {"nproc", 6}, {"memlock", 8}} {
		var l syscall.Rlimit
		err := syscall.Getrlimit(limit.number, &l)
		fmt.Fprintf(out, "process limit %s %d %d %s\n", limit.name, int64(l.Cur), int64(l.Max), errno(err))
	}
	for _, file := range []string{"oom_score_adj", "loginuid"} {
		data, err := os.ReadFile("/proc/self/" + file)
		fmt.Fprintf(out, "process %s %s %v\n", file, strings.TrimSpace(string(data)), errno(err))
	}
	for _, key := range []string{"net/ipv4/ip_unprivileged_port_start", "net/ipv4/ping_group_range", "kernel/shmmax", "kernel/msgmax"} {
		data, err := os.ReadFile("/proc/sys/" + key)
		fmt.Fprintf(out, "sysctl %s %s %v\n", key, strings.Join(strings.Fields(string(data)), " "), errno(err))
	}
	return nil
}

// errno returns the text of the system error in err, "ok" for nil.
func errno(err error) string {
	var e syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return e.Error()
	}
	return err.Error()
}
