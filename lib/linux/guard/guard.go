// Package guard keeps containers from the programs that start them.
//
// A process that forks into a container is there for a moment as what it is: a program of the host, which
// /proc/PID/exe leads to. Who is root inside could have it executed, keep it open, and write to it when it
// has ended (CVE-2019-5736). So a program that imports this package executes itself once more, from a mount of
// its own that is nowhere and read-only, where one of its words is that of a command that forks into containers.
//
// It imports nothing but package syscall, and so comes before all others (Go starts packages in the order of
// their paths where nothing else decides): half a millisecond is spent, and not another start of everything.
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
	case "create", "start": // of a bundle, with hooks that run inside: mydocker's own leave that to a monitor
		return !isMydocker()
	}
	return false
}

// isMydocker reports whether this program's file has that name. By another one it is guarded once too often.
func isMydocker() bool {
	const want = "/mydocker"
	var path [4096]byte
	n, err := syscall.Readlink(self, path[:])
	return err == nil && n >= len(want) && string(path[n-len(want):n]) == want
}

func init() {
	args := arguments()
	for _, word := range args { // whatever options stand before the command; once too often does no harm
		if forks(word) && syscall.Geteuid() == 0 {
			protect(args)
			return
		}
	}
}

// protect executes this program from a read-only mount, unless it was.
func protect(args []string) {
	if ReadOnly() {
		name(args[0])
		return
	}
	var path [4096]byte
	n, err := syscall.Readlink(self, path[:])
	fd := mount()
	if fd < 0 { // its mount is of another namespace
		fd = copySealed()
	}
	if err == nil && fd >= 0 {
		args[0] = string(path[:n])
		err = syscall.Exec("/proc/self/fd/"+decimal(fd), args, syscall.Environ())
	}
	const text = ": cannot run from a read-only mount or a sealed copy of itself, and so a container could overwrite it\n"
	_, _ = syscall.Write(2, []byte(args[0]+text))
	syscall.Exit(125)
}

// name gives the process its name back: the kernel has called it after the descriptor.
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

// ReadOnly reports whether nobody can write to this program by way of /proc/PID/exe.
func ReadOnly() bool {
	const readOnlyMount, tmpfs = 1, 0x01021994 // ST_RDONLY, TMPFS_MAGIC
	var fs syscall.Statfs_t
	if syscall.Statfs(self, &fs) != nil {
		return false
	}
	return fs.Flags&readOnlyMount != 0 || fs.Type == tmpfs && sealed()
}

// The numbers of new system calls are the same everywhere.
const (
	sysOpenTree     = 428
	sysMountSetattr = 442
	atFDCWD         = -100
	cloneCloseExec  = 1 | syscall.O_CLOEXEC // OPEN_TREE_CLONE
	atEmptyPath     = 0x1000
)

// mount returns a mount of this program that is nowhere and read-only; -1 where there can be none.
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

// copySealed returns a copy of this program in memory that nobody can write to (memfd_create(2)).
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

// sealed reports whether this program is a copy in memory that nobody can write to.
func sealed() bool {
	fd, err := syscall.Open(self, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	seals, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), getSeals, 0)
	return errno == 0 && seals&allSeals == allSeals
}

// arguments returns the words that this program was started with: package os, which knows them, comes later.
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
