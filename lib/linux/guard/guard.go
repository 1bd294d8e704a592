// Package guard protects the programs of the host from the containers that they start.
//
// A process that forks into a container is for a moment visible there as a program of the host, by /proc/PID/exe. A
// root process in the container could execute it, keep it open, and overwrite it when it has ended (CVE-2019-5736). A
// program that imports this package therefore executes itself again from a detached read-only mount, if one of its
// arguments is a command that forks into containers.
//
// The package imports only syscall, so that it is initialized before all others (Go initializes packages in the order
// of their paths if nothing else decides). This costs half a millisecond instead of a second start of the whole
// program.
package guard

import (
	"syscall"
	"unsafe"
)

const self = "/proc/self/exe"

// forks reports whether a command forks into containers.
func forks(word string) bool {
	switch word {
	case "run", "exec", "monitor":
		return true
	case "create", "start": // of a bundle, with hooks inside the container; mydocker leaves those to a monitor
		return !isMydocker()
	}
	return false
}

// isMydocker reports whether this program's file is called mydocker. A renamed one is protected needlessly.
func isMydocker() bool {
	const want = "/mydocker"
	var path [4096]byte
	n, err := syscall.Readlink(self, path[:])
	return err == nil && n >= len(want) && string(path[n-len(want):n]) == want
}

func init() {
	args := arguments()
	for _, word := range args { // options may come before the command; a false match is harmless
		if forks(word) && syscall.Geteuid() == 0 {
			protect(args)
			return
		}
	}
}

// protect executes this program from a read-only mount, unless that was done.
func protect(args []string) {
	if ReadOnly() {
		name(args[0])
		return
	}
	var path [4096]byte
	n, err := syscall.Readlink(self, path[:])
	fd := mount()
	if fd < 0 { // the executable's mount is in another namespace
		fd = copySealed()
	}
	if err == nil && fd >= 0 {
		args[0] = string(path[:n])
		err = syscall.Exec("/proc/self/fd/"+decimal(fd), args, syscall.Environ())
	}
	const text = ": cannot protect this program from containers: no read-only mount and no sealed copy\n"
	_, _ = syscall.Write(2, []byte(args[0]+text))
	syscall.Exit(125)
}

// name restores the process name, which the kernel took from the descriptor.
func name(path string) {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			path = path[i+1:]
			break
		}
	}
	if fd, err := syscall.Open("/proc/self/comm", syscall.O_WRONLY|syscall.O_CLOEXEC, 0); err == nil {
		_, _ = syscall.Write(fd, []byte(path))
		_ = syscall.Close(fd)
	}
}

// ReadOnly reports whether this program cannot be written through /proc/PID/exe.
func ReadOnly() bool {
	const readOnlyMount, tmpfs = 1, 0x01021994 // ST_RDONLY, TMPFS_MAGIC
	var fs syscall.Statfs_t
	if syscall.Statfs(self, &fs) != nil {
		return false
	}
	return fs.Flags&readOnlyMount != 0 || fs.Type == tmpfs && sealed()
}

// System calls this new have the same number on all architectures.
const (
	sysOpenTree     = 428
	sysMountSetattr = 442
	atFDCWD         = -100
	cloneCloseExec  = 1 | syscall.O_CLOEXEC // OPEN_TREE_CLONE
	atEmptyPath     = 0x1000
)

// mount returns a detached read-only mount of this program, -1 on failure.
func mount() int {
	path, err := syscall.BytePtrFromString(self)
	if err != nil {
		return -1
	}
	cwd := atFDCWD
	fd, _, errno := syscall.Syscall(sysOpenTree, uintptr(cwd), uintptr(unsafe.Pointer(path)), cloneCloseExec)
	if errno != 0 {
		return -1
	}
	attr := struct{ set, clear, propagation, userns uint64 }{set: 1} // MOUNT_ATTR_RDONLY
	_, _, errno = syscall.Syscall6(sysMountSetattr, fd, uintptr(unsafe.Pointer(new(byte))), atEmptyPath,
		uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		_ = syscall.Close(int(fd))
		return -1
	}
	return int(fd)
}

const (
	addSeals = 1033 // F_ADD_SEALS
	getSeals = 1034
	allSeals = 0xf // F_SEAL_SEAL, SHRINK, GROW and WRITE
)

// copySealed returns a sealed copy of this program in memory (memfd_create(2)), -1 on failure.
func copySealed() int {
	name, err := syscall.BytePtrFromString("mydocker")
	if err != nil {
		return -1
	}
	source, err := syscall.Open(self, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	defer syscall.Close(source)
	fd, _, errno := syscall.Syscall(sysMemfdCreate, uintptr(unsafe.Pointer(name)), 3, 0) // CLOEXEC, ALLOW_SEALING
	if errno != 0 {
		return -1
	}
	for {
		n, err := syscall.Sendfile(int(fd), source, nil, 1<<30)
		if err != nil {
			_ = syscall.Close(int(fd))
			return -1
		}
		if n == 0 {
			break
		}
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, addSeals, allSeals); errno != 0 {
		_ = syscall.Close(int(fd))
		return -1
	}
	return int(fd)
}

// sealed reports whether this program is a sealed copy in memory.
func sealed() bool {
	fd, err := syscall.Open(self, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	seals, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), getSeals, 0)
	return errno == 0 && seals&allSeals == allSeals
}

// arguments returns the arguments of this program. Package os is initialized later.
func arguments() []string {
	fd, err := syscall.Open("/proc/self/cmdline", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	var all []byte
	buffer := make([]byte, 4096)
	for {
		n, err := syscall.Read(fd, buffer)
		if n <= 0 || err != nil {
			break
		}
		all = append(all, buffer[:n]...)
	}
	var args []string
	for start, i := 0, 0; i < len(all); i++ {
		if all[i] == 0 {
			args = append(args, string(all[start:i]))
			start = i + 1
		}
	}
	return args
}

func decimal(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return decimal(n/10) + string(rune('0'+n%10))
}
