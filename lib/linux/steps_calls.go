package linux

import (
	"fmt"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of a plan. Their arguments are those of manual section 2, without what is constant here: descriptors
// are close-on-exec, and mounts are moved between descriptors (AT_EMPTY_PATH), never by a path that another process
// could change.

//nolint:gochecknoglobals // the kernel's own table
var (
	sysCapset       = call{"capset", unix.SYS_CAPSET}
	sysChdir        = call{"chdir", unix.SYS_CHDIR}
	sysChroot       = call{"chroot", unix.SYS_CHROOT}
	sysClose        = call{"close", unix.SYS_CLOSE}
	sysCloseRange   = call{"close_range", unix.SYS_CLOSE_RANGE}
	sysDup3         = call{"dup3", unix.SYS_DUP3}
	sysExecve       = call{"execve", unix.SYS_EXECVE}
	sysExecveat     = call{"execveat", unix.SYS_EXECVEAT}
	sysFaccessat    = call{"faccessat", unix.SYS_FACCESSAT}
	sysFchdir       = call{"fchdir", unix.SYS_FCHDIR}
	sysFchownat     = call{"fchownat", unix.SYS_FCHOWNAT}
	sysFsconfig     = call{"fsconfig", unix.SYS_FSCONFIG}
	sysFsmount      = call{"fsmount", unix.SYS_FSMOUNT}
	sysFsopen       = call{"fsopen", unix.SYS_FSOPEN}
	sysIoctl        = call{"ioctl", unix.SYS_IOCTL}
	sysKeyctl       = call{"keyctl", unix.SYS_KEYCTL}
	sysMkdirat      = call{"mkdirat", unix.SYS_MKDIRAT}
	sysMknodat      = call{"mknodat", unix.SYS_MKNODAT}
	sysMount        = call{"mount", unix.SYS_MOUNT}
	sysMountSetattr = call{"mount_setattr", unix.SYS_MOUNT_SETATTR}
	sysMoveMount    = call{"move_mount", unix.SYS_MOVE_MOUNT}
	sysOpenTree     = call{"open_tree", unix.SYS_OPEN_TREE}
	sysOpenat       = call{"openat", unix.SYS_OPENAT}
	sysIoprioSet    = call{"ioprio_set", unix.SYS_IOPRIO_SET}
	sysPersonality  = call{"personality", unix.SYS_PERSONALITY}
	sysSchedSetattr = call{"sched_setattr", unix.SYS_SCHED_SETATTR}
	sysSetMempolicy = call{"set_mempolicy", unix.SYS_SET_MEMPOLICY}
	sysOpenat2      = call{"openat2", unix.SYS_OPENAT2}
	sysPivotRoot    = call{"pivot_root", unix.SYS_PIVOT_ROOT}
	sysPrctl        = call{"prctl", unix.SYS_PRCTL}
	sysPrlimit      = call{"prlimit64", unix.SYS_PRLIMIT64}
	sysRead         = call{"read", unix.SYS_READ}
	sysSeccomp      = call{"seccomp", unix.SYS_SECCOMP}
	sysSendmsg      = call{"sendmsg", unix.SYS_SENDMSG}
	sysSetdomain    = call{"setdomainname", unix.SYS_SETDOMAINNAME}
	sysSetfsgid     = call{"setfsgid", unix.SYS_SETFSGID}
	sysSetfsuid     = call{"setfsuid", unix.SYS_SETFSUID}
	sysSetgroups    = call{"setgroups", unix.SYS_SETGROUPS}
	sysSethostname  = call{"sethostname", unix.SYS_SETHOSTNAME}
	sysSetns        = call{"setns", unix.SYS_SETNS}
	sysSetresgid    = call{"setresgid", unix.SYS_SETRESGID}
	sysSetresuid    = call{"setresuid", unix.SYS_SETRESUID}
	sysSetsid       = call{"setsid", unix.SYS_SETSID}
	sysSocket       = call{"socket", unix.SYS_SOCKET}
	sysStatx        = call{"statx", unix.SYS_STATX}
	sysSymlinkat    = call{"symlinkat", unix.SYS_SYMLINKAT}
	sysUmask        = call{"umask", unix.SYS_UMASK}
	sysUmount       = call{"umount2", unix.SYS_UMOUNT2}
	sysUnshare      = call{"unshare", unix.SYS_UNSHARE}
	sysWrite        = call{"write", unix.SYS_WRITE}
)

// FD is a descriptor that the child inherits.
func FD(n int) Value { return Value{kind: isNumber, n: uintptr(n)} }

// Here is the working directory, to which paths are relative.
func Here() Value { return Value{kind: isNumber, n: atFDCWD, flags: isPlace} }

const atFDCWD = ^uintptr(99) // AT_FDCWD, -100

func num(n int) Value { return Value{kind: isNumber, n: uintptr(n)} }

func flag(kind flagKind, n uint64) Value { return Value{kind: isNumber, n: uintptr(n), flags: kind} }

func block(p unsafe.Pointer) Value { return Value{kind: isBlock, p: p} }

// text is a NUL-terminated string.
func (l *Steps) text(s string) Value {
	p, err := unix.BytePtrFromString(s)
	if err != nil {
		l.Fail(fmt.Errorf("%s: %.80q contains a NUL byte", l.doing, s))
		return Value{}
	}
	return Value{kind: isText, p: unsafe.Pointer(p)}
}

// Close closes a descriptor.
func (l *Steps) Close(fd Value) Step { return l.add(&sysClose, fd) }

// KeepOnly closes all descriptors but the standard streams and fds, which must be sorted and above 2.
func (l *Steps) KeepOnly(fds []int) {
	first := 3
	for _, fd := range fds {
		if fd > first {
			l.add(&sysCloseRange, num(first), num(fd-1))
		}
		first = max(first, fd+1)
	}
	l.add(&sysCloseRange, num(first), num(int(^uint32(0))))
}

// Dup duplicates a descriptor as fd, which stays open on execve(2).
func (l *Steps) Dup(from Value, fd int) { l.add(&sysDup3, from, num(fd), num(0)) }

// DieWithParent sets PR_SET_PDEATHSIG. A change of the user clears it.
func (l *Steps) DieWithParent() {
	l.add(&sysPrctl, flag(isPrctl, unix.PR_SET_PDEATHSIG), num(int(syscall.SIGKILL)))
}

// Prctl is prctl(2) with numbers.
func (l *Steps) Prctl(option int, args ...int) Step {
	values := []Value{flag(isPrctl, uint64(option))}
	for _, n := range args {
		values = append(values, num(n))
	}
	return l.add(&sysPrctl, values...)
}

// Undumpable denies access to the child's /proc/self to less privileged processes in its namespaces. execve(2) ends it.
func (l *Steps) Undumpable() { l.Prctl(unix.PR_SET_DUMPABLE, 0) }

// NoNewPrivs prevents execve(2) from granting privileges.
func (l *Steps) NoNewPrivs() { l.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1) }

// NewSession makes the child a session leader without a terminal.
func (l *Steps) NewSession() { l.add(&sysSetsid) }

// NewKeyring gives the child an empty session keyring, if the kernel has keyrings (keyrings(7)).
func (l *Steps) NewKeyring() {
	l.add(&sysKeyctl, num(unix.KEYCTL_JOIN_SESSION_KEYRING), num(0)).Ignoring(unix.ENOSYS)
}

// Umask sets the file mode creation mask.
func (l *Steps) Umask(mask uint32) { l.add(&sysUmask, flag(isMode, uint64(mask))) }

// Open opens a path.
func (l *Steps) Open(path string, flags int) Step {
	return l.add(&sysOpenat, Here(), l.text(path), flag(isOpen, uint64(flags|unix.O_CLOEXEC)), num(0))
}

// OpenInRoot opens a path beneath the directory root as after chroot(2): "..", absolute links and chains of links never
// lead out, and magic links (proc(5)) are refused.
func (l *Steps) OpenInRoot(root Value, name string, flags int) Step {
	how := &unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	return l.add(&sysOpenat2, root, l.text(name), Value{kind: isHow, p: unsafe.Pointer(how)}, num(int(unsafe.Sizeof(*how))))
}

// OpenBeneath opens a path beneath a directory on the same mount, without following links.
func (l *Steps) OpenBeneath(dir Value, name string, flags int) Step {
	how := &unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	return l.add(&sysOpenat2, dir, l.text(name), Value{kind: isHow, p: unsafe.Pointer(how)}, num(int(unsafe.Sizeof(*how))))
}

// WriteTo writes data to a descriptor by one write(2).
func (l *Steps) WriteTo(fd Value, data string) Step {
	s := l.text(data)
	return l.add(&sysWrite, fd, s, num(len(data))).Least(len(data))
}

// WriteFile opens an existing kernel file and writes to it.
func (l *Steps) WriteFile(path, value string) (opened, written Step) {
	opened = l.Open(path, unix.O_WRONLY)
	fd := opened.Into()
	written = l.WriteTo(fd, value)
	l.Close(fd)
	return opened, written
}

// Mkdir makes a directory in dir.
func (l *Steps) Mkdir(dir Value, name string, mode uint32) Step {
	return l.add(&sysMkdirat, dir, l.text(name), flag(isMode, uint64(mode)))
}

// Mknod makes a file of any type in dir.
func (l *Steps) Mknod(dir Value, name string, mode uint32, major, minor int64) Step {
	return l.add(&sysMknodat, dir, l.text(name), flag(isMode, uint64(mode)), flag(isDevice, unix.Mkdev(uint32(major), uint32(minor))))
}

// Symlink makes a symbolic link to target in dir.
func (l *Steps) Symlink(target string, dir Value, name string) Step {
	return l.add(&sysSymlinkat, l.text(target), dir, l.text(name))
}

// Chown changes the owner and group of name in dir, or of dir itself if name is "".
func (l *Steps) Chown(dir Value, name string, uid, gid int) Step {
	return l.add(&sysFchownat, dir, l.text(name), num(uid), num(gid), flag(isAt, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH))
}

// Mount is mount(2).
func (l *Steps) Mount(source, target, fstype string, flags uintptr, data string) Step {
	if len(data) >= pageSize {
		l.Fail(fmt.Errorf("%s: %d bytes of options: %w", l.doing, len(data), unix.E2BIG))
	}
	options := num(0)
	if data != "" {
		options = l.text(data)
	}
	return l.add(&sysMount, l.text(source), l.text(target), l.text(fstype), flag(isMount, uint64(flags)), options)
}

// CloneTree returns a detached bind mount of a path, with the mounts beneath it if recursive is set. With an empty path
// it is one of the descriptor at.
func (l *Steps) CloneTree(at Value, path string, recursive bool) Step {
	flags := uint64(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return l.add(&sysOpenTree, at, l.text(path), flag(isTree, flags))
}

// SetMountAttr changes the mount at a path, or that of a descriptor if path is "".
func (l *Steps) SetMountAttr(at Value, path string, recursive bool, attr MountAttr) Step {
	raw := &unix.MountAttr{Attr_set: attr.Set, Attr_clr: attr.Clear, Propagation: attr.Propagation}
	if attr.UserNS != nil {
		raw.Userns_fd = uint64(attr.UserNS.Fd())
	}
	flags := uint64(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return l.add(&sysMountSetattr, at, l.text(path), flag(isAt, flags), Value{kind: isAttr, p: unsafe.Pointer(raw)}, num(int(unsafe.Sizeof(*raw))))
}

// MapMount maps the file owners of a detached mount through a user namespace.
func (l *Steps) MapMount(tree Value, users int) Step {
	raw := &unix.MountAttr{Attr_set: AttrIDMap, Userns_fd: uint64(users)}
	return l.add(&sysMountSetattr, tree, l.text(""), flag(isAt, unix.AT_EMPTY_PATH), Value{kind: isAttr, p: unsafe.Pointer(raw)}, num(int(unsafe.Sizeof(*raw))))
}

// MoveTree attaches a mount at a path, or at the descriptor to if path is "".
func (l *Steps) MoveTree(tree, to Value, path string) Step {
	flags := uint64(unix.MOVE_MOUNT_F_EMPTY_PATH)
	if path == "" {
		flags |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	return l.add(&sysMoveMount, tree, l.text(""), to, l.text(path), flag(isMove, flags))
}

// NewTmpfs returns a detached tmpfs with one option. It shares no inode with other mounts.
func (l *Steps) NewTmpfs(key, value string) Value {
	fs := l.add(&sysFsopen, l.text("tmpfs"), num(unix.FSOPEN_CLOEXEC)).Into()
	l.add(&sysFsconfig, fs, num(unix.FSCONFIG_SET_STRING), l.text(key), l.text(value), num(0))
	l.add(&sysFsconfig, fs, num(unix.FSCONFIG_CMD_CREATE), num(0), num(0), num(0))
	tree := l.add(&sysFsmount, fs, num(unix.FSMOUNT_CLOEXEC), num(unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)).Into()
	l.Close(fs)
	return tree
}

// Unmount detaches the mount at a path, even if it is busy.
func (l *Steps) Unmount(path string) Step {
	return l.add(&sysUmount, l.text(path), num(unix.MNT_DETACH))
}

// IsDevice checks that an open file is this character device, otherwise the error is ENXIO.
func (l *Steps) IsDevice(fd Value, major, minor uint32) Step {
	wanted := &device{major: major, minor: minor}
	s := l.add(&sysStatx, fd, l.text(""), flag(isAt, unix.AT_EMPTY_PATH), num(unix.STATX_TYPE), block(unsafe.Pointer(&wanted.got)))
	s.step().device = wanted
	return s
}

// Chdir changes the working directory to a path.
func (l *Steps) Chdir(path string) Step { return l.add(&sysChdir, l.text(path)) }

// Fchdir changes the working directory to a descriptor.
func (l *Steps) Fchdir(dir Value) Step { return l.add(&sysFchdir, dir) }

// PivotRoot makes dir, which must be a mount point, the root, and unmounts the old root. Both arguments are "."
// (pivot_root(2), NOTES): the old root is stacked on the new one. With shared, the unmount does not propagate to the
// old root's peers.
func (l *Steps) PivotRoot(dir Value, shared bool) {
	l.Fchdir(dir)
	l.add(&sysPivotRoot, l.text("."), l.text("."))
	if shared {
		l.Mount("", ".", "", unix.MS_SLAVE|unix.MS_REC, "")
	}
	l.Unmount(".")
	l.Chdir("/")
}

// MoveRoot makes dir, which must be a mount point, the root by moving it on top of the old one.
func (l *Steps) MoveRoot(dir Value) {
	l.Fchdir(dir)
	l.add(&sysMount, l.text("."), l.text("/"), l.text(""), flag(isMount, unix.MS_MOVE), num(0))
	l.add(&sysChroot, l.text("."))
	l.Chdir("/")
}

// ChangeRoot makes dir the root of the child by chroot(2).
func (l *Steps) ChangeRoot(dir Value) {
	l.Fchdir(dir)
	l.add(&sysChroot, l.text("."))
	l.Chdir("/")
}

// SetHostname sets the name of the UTS namespace.
func (l *Steps) SetHostname(name string) { l.add(&sysSethostname, l.text(name), num(len(name))) }

// SetDomainname sets the NIS domain name of the UTS namespace.
func (l *Steps) SetDomainname(name string) { l.add(&sysSetdomain, l.text(name), num(len(name))) }

// Unshare moves the child into new namespaces.
func (l *Steps) Unshare(flags int) { l.add(&sysUnshare, flag(isClone, uint64(flags))) }

// Setns moves the child into namespaces; fd is a namespace or a pidfd.
func (l *Steps) Setns(fd Value, flags int) Step {
	return l.add(&sysSetns, fd, flag(isClone, uint64(flags)))
}

// LoopbackUp sets the loopback interface up (netdevice(7)).
func (l *Steps) LoopbackUp() {
	request := &struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{name: [unix.IFNAMSIZ]byte{'l', 'o'}, flags: unix.IFF_UP}
	fd := l.add(&sysSocket, num(unix.AF_INET), num(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), num(0)).Into()
	l.add(&sysIoctl, fd, flag(isIoctl, unix.SIOCSIFFLAGS), block(unsafe.Pointer(request)))
	l.Close(fd)
}

// SetRlimit sets a resource limit.
func (l *Steps) SetRlimit(resource int, soft, hard uint64) Step {
	limit := &unix.Rlimit{Cur: soft, Max: hard}
	return l.add(&sysPrlimit, num(0), num(resource), Value{kind: isLimit, p: unsafe.Pointer(limit)})
}

// SetUser changes the groups, the group and the user, and keeps the permitted capabilities for SetCapabilities to
// reduce.
func (l *Steps) SetUser(uid, gid uint32, groups []uint32) {
	l.checkIDs(append([]uint32{uid, gid}, groups...))
	l.Prctl(unix.PR_SET_KEEPCAPS, 1)
	list := num(0)
	if len(groups) > 0 {
		copied := append([]uint32(nil), groups...)
		list = Value{kind: isGroups, n: uintptr(len(groups)), p: unsafe.Pointer(&copied[0])}
	}
	l.add(&sysSetgroups, num(len(groups)), list).Words(func() []string { return []string{"setgroups", fmt.Sprint(groups)} })
	l.add(&sysSetresgid, num(int(gid)), num(int(gid)), num(int(gid))).Words(func() []string { return []string{"setgid", fmt.Sprint(gid)} })
	l.add(&sysSetresuid, num(int(uid)), num(int(uid)), num(int(uid))).Words(func() []string { return []string{"setuid", fmt.Sprint(uid)} })
}

// NoID is not a valid user or group id. In setresuid(2) it means no change.
const NoID = ^uint32(0)

// checkIDs refuses NoID, which would leave the child as root.
func (l *Steps) checkIDs(ids []uint32) {
	for _, id := range ids {
		if id == NoID {
			l.Fail(fmt.Errorf("%s: invalid id %d", l.doing, id))
		}
	}
}

// FSUser changes only the user and the group for file access (setfsuid(2)).
func (l *Steps) FSUser(uid, gid uint32) {
	l.checkIDs([]uint32{uid, gid})
	l.add(&sysSetfsgid, num(int(gid)))
	l.add(&sysSetfsuid, num(int(uid)))
}

// SetBounding drops the capabilities in held but not in set from the bounding set.
func (l *Steps) SetBounding(set, held Capabilities) {
	for i := range 64 {
		if held&^set&(1<<i) != 0 {
			l.Prctl(unix.PR_CAPBSET_DROP, i)
		}
	}
}

// SetCapabilities sets the effective, permitted, inheritable and ambient sets.
func (l *Steps) SetCapabilities(effective, permitted, inheritable, ambient Capabilities) {
	both := &struct {
		header unix.CapUserHeader
		data   [2]unix.CapUserData
	}{unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{
		{Effective: uint32(effective), Permitted: uint32(permitted), Inheritable: uint32(inheritable)},
		{Effective: uint32(effective >> 32), Permitted: uint32(permitted >> 32), Inheritable: uint32(inheritable >> 32)},
	}}
	l.add(&sysCapset, block(unsafe.Pointer(&both.header)), Value{kind: isCapabilities, p: unsafe.Pointer(&both.data)}).
		Words(func() []string { return []string{"capset", fmt.Sprintf("%#x", uint64(permitted))} })
	l.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
	for i := range 64 {
		if ambient&(1<<i) != 0 {
			l.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, i)
		}
	}
}

// Seccomp installs a filter for all further system calls (seccomp(2)). It needs CAP_SYS_ADMIN or no_new_privs.
func (l *Steps) Seccomp(program []BPFInstruction, flags uintptr) Step {
	if len(program) == 0 || len(program) > unix.BPF_MAXINSNS {
		l.Fail(fmt.Errorf("%s: seccomp filter of %d instructions: want 1 to %d", l.doing, len(program), unix.BPF_MAXINSNS))
		return l.add(&sysSeccomp)
	}
	fprog := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return l.add(&sysSeccomp, num(unix.SECCOMP_SET_MODE_FILTER), num(int(flags)), Value{kind: isFilter, p: unsafe.Pointer(fprog)})
}

// OpenTerminal opens a new pseudo-terminal (pts(4)) on the devpts of ptmx, sends its master to the parent, and makes
// its slave, which it returns, the controlling terminal and the standard streams. spare is an unused descriptor number.
func (l *Steps) OpenTerminal(ptmx string, size WindowSize, uid uint32, spare int) Value {
	master := l.Open(ptmx, unix.O_RDWR|unix.O_NOCTTY).Into()
	l.add(&sysIoctl, master, flag(isIoctl, unix.TIOCSPTLCK), block(unsafe.Pointer(new(int32))))
	// TIOCGPTPEER opens the slave without a path, which a process in the container could replace.
	slave := l.add(&sysIoctl, master, flag(isIoctl, unix.TIOCGPTPEER), flag(isOpen, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)).Into()
	l.add(&sysIoctl, slave, flag(isIoctl, unix.TIOCSWINSZ), block(unsafe.Pointer(&unix.Winsize{Row: size.Rows, Col: size.Cols})))
	if uid != 0 {
		l.Chown(slave, "", int(uid), -1)
	}
	l.add(&sysIoctl, slave, flag(isIoctl, unix.TIOCSCTTY), num(0))
	for fd := range 3 {
		l.Dup(slave, fd)
	}
	l.add(&sysDup3, master, num(spare), flag(isOpen, unix.O_CLOEXEC))
	l.sendFile(spare)
	l.Close(master)
	l.Close(FD(spare))
	return slave
}

// sendFile sends a descriptor to the parent (unix(7), SCM_RIGHTS).
func (l *Steps) sendFile(fd int) {
	here := &report{step: int32(len(l.list))}
	rights := unix.UnixRights(fd)
	data := &unix.Iovec{Base: (*byte)(unsafe.Pointer(here)), Len: uint64(reportSize)}
	message := &unix.Msghdr{Iov: data, Iovlen: 1, Control: &rights[0], Controllen: uint64(len(rights))}
	l.add(&sysSendmsg, num(l.socket), block(unsafe.Pointer(message)), num(0))
}

// Personality is personality(2).
func (l *Steps) Personality(persona uint64) Step {
	return l.add(&sysPersonality, flag(isAccess, persona))
}

// SetIOPriority is ioprio_set(2) for the child.
func (l *Steps) SetIOPriority(class, priority int) Step {
	return l.add(&sysIoprioSet, num(1), num(0), num(class<<13|priority))
}

// SetScheduler is sched_setattr(2) for the child.
func (l *Steps) SetScheduler(attr *Scheduler) Step {
	attr.Size = unix.SizeofSchedAttr
	return l.add(&sysSchedSetattr, num(0), block(unsafe.Pointer(attr)), num(0))
}

// Scheduler is struct sched_attr of sched_setattr(2).
type Scheduler = unix.SchedAttr

// SetMemoryPolicy is set_mempolicy(2); nodes is a bit mask.
func (l *Steps) SetMemoryPolicy(mode int, nodes []uint64) Step {
	mask, bits := num(0), 0
	if len(nodes) > 0 {
		mask, bits = block(unsafe.Pointer(&nodes[0])), 64*len(nodes)+1
	}
	return l.add(&sysSetMempolicy, num(mode), mask, num(bits))
}

// Access checks that the child, with its current rights, can execute a path (access(2), X_OK).
func (l *Steps) Access(path string) Step {
	return l.add(&sysFaccessat, Here(), l.text(path), flag(isAccess, unix.X_OK))
}

// Exists checks that a path exists.
func (l *Steps) Exists(path string) Step {
	return l.add(&sysFaccessat, Here(), l.text(path), flag(isAccess, unix.F_OK))
}

// Words are strings for execve(2).
type Words struct {
	list []*byte
	text []string
}

// Words prepares strings for execve(2).
func (l *Steps) Words(words []string) Words {
	list := make([]*byte, len(words)+1)
	size := 0
	for _, w := range words {
		size += len(w) + 1
	}
	all := make([]byte, 0, size) // a single allocation
	for i, w := range words {
		if strings.IndexByte(w, 0) >= 0 {
			l.Fail(fmt.Errorf("%s: %.80q contains a NUL byte", l.doing, w))
		}
		list[i] = unsafe.SliceData(all[len(all):cap(all)])
		all = append(append(all, w...), 0)
	}
	return Words{list, words}
}

// Execve executes the program at a path.
func (l *Steps) Execve(path string, argv, env Words) Step {
	return l.add(&sysExecve, l.text(path), argv.value(), env.value())
}

// ExecveFD executes the program open at a descriptor.
func (l *Steps) ExecveFD(fd Value, argv, env Words) Step {
	return l.add(&sysExecveat, fd, l.text(""), argv.value(), env.value(), flag(isAt, unix.AT_EMPTY_PATH))
}

func (w Words) value() Value {
	return Value{kind: isWords, n: uintptr(len(w.text)), p: unsafe.Pointer(&w.list[0])}
}
