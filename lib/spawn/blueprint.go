package spawn

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/seccomp"
)

// blueprint holds all that the plan of a new container depends on: the document, and what it means on this host.
type blueprint struct {
	spec            *specs.Spec
	bundle          string        // relative paths of the document start here
	root            string        // absolute
	cgroups         []cgroupMount // the control groups that the container sees
	procsFiles      []string      // cgroup.procs or tasks: a process joins the group by writing 0
	hasRuntimeHooks bool          // hooks run before the mounts are made
	parent          string        // the mount that the root is in, to be made private; "" if it may stay shared
	noPivot         bool          // move the root instead of pivot_root(2), for a host that runs from its initramfs
	program         program

	mapped []*idMap // idmapped mounts, in the order of the document's mounts; nil for most

	isEmpty func(path string) bool // reports whether the image has nothing at a path

	isDir func(path string) (bool, error) // reports on the source of a bind mount
}

// cgroupMount is one hierarchy as the container sees it below /sys/fs/cgroup.
type cgroupMount struct {
	source string // the container's own group
	name   string // cpu, memory …; "" for the unified hierarchy
}

// program is the process of the document, which a plan ends with.
type program struct {
	process *specs.Process
	path    string           // the program's path, if it is not its first argument
	size    linux.WindowSize // the first size of the terminal
	die     bool             // the kernel kills the program when its parent ends
	keyring bool             // keep the caller's session keyring
	files   [2]uint64        // the caller's limit on open files, soft and hard
	held    linux.Capabilities
	filter  *seccomp.Filter // nil for none
	users   *idMap          // the container's user namespace; nil for the host's
	fds     descriptors
}

// descriptors are the files that the child gets from its parent. It closes all others.
type descriptors struct {
	stdio  [3]int
	socket int // to the parent
	spare  int // the parent's end of it: the child may reuse its number
	reaper int // the small init that stays as PID 1 (--init); -1 for none
	root   int // the root of a container without a mount namespace of its own, for exec; -1 for none
	start  int // a FIFO: the child reads a byte from it before it executes the program; -1 for none
	kept   int // how many are for the program, from 3 on
	pidfd  int // the container's first process, for exec; -1 for none
	users  map[*idMap]int

	nodes [3]node // replacements of streams that are devices of the host
}

// plan is a list of system calls, with what the parent needs to know of it.
type plan struct {
	*linux.Steps
	syncPoints map[int]syncPoint // by step
	lookup     int               // the first step that looks for the program
	name       string            // of the program
	trace      []string          // the equivalent shell commands, for --debug
	users      *idMap            // of the container
	own        ownNodes
	profile    linux.Value // the open file that takes the AppArmor profile
}

// syncPoint is a point of the plan where the child waits for the parent.
type syncPoint int

const (
	beforeMounts  syncPoint = iota // in the new namespaces
	beforePivot                    // the mounts are made, and the old root is still reachable
	beforeProgram                  // in the container, with the rights of its root
	ready                          // only execve(2) is left
)

func (s *plan) syncPoint(m syncPoint) { s.syncPoints[s.SyncPoint()] = m }

// shell records the equivalent shell command of the next steps, for --debug.
func (s *plan) shell(argv ...string) {
	if linux.Tracing() {
		s.trace = append(s.trace, linux.Quote(argv...))
	}
}

func newPlan(p *program) *plan {
	return &plan{Steps: linux.NewSteps(p.fds.socket), syncPoints: make(map[int]syncPoint), users: p.users}
}

// compile turns the blueprint into a plan: what runtime-spec, config.md and config-linux.md ask for, in the order that
// the kernel needs. It changes nothing.
func (b *blueprint) compile() (*plan, error) {
	l := newPlan(&b.program)
	b.program.begin(l)
	l.Umask(0) // files that are made for the container get the given modes
	b.program.joinGroups(l, b.procsFiles)
	b.joinNamespaces(l)
	b.nameHost(l)
	if b.hasRuntimeHooks {
		l.Doing("wait for the hooks")
		l.syncPoint(beforeMounts)
	}
	root := b.mountAll(l)
	b.makeDevices(l, root)
	if cwd := b.program.process.Cwd; cwd != "" {
		// As with docker, a missing working directory is made.
		l.Doing("working directory")
		l.Close(l.mkdirAll(root, cwd))
	}
	b.protect(l, root)
	hooks := b.spec.Hooks
	if hooks != nil && len(hooks.CreateContainer) > 0 {
		l.syncPoint(beforePivot)
	}
	b.dropNodes(l)
	b.changeRoot(l, root)
	if propagation, err := rootPropagation(b.spec.Linux.RootfsPropagation); err == nil && b.spec.Linux.RootfsPropagation != "" {
		l.Doing("set linux.rootfsPropagation")
		l.mount("", "/", "", propagation, "")
	}
	if b.program.process.Terminal {
		b.openConsole(l)
	}
	b.lockRoot(l)
	b.setDomain(l)
	b.program.setSchedule(l)
	b.program.setLimits(l)
	b.program.enterUsers(l)
	if hooks != nil && len(hooks.StartContainer) > 0 && b.program.fds.start < 0 { // else Start runs them
		l.syncPoint(beforeProgram)
	}
	b.program.become(l)
	return l, l.Err()
}

// changeRoot changes the root: of the whole mount namespace if it is the container's own, or else of the child.
func (b *blueprint) changeRoot(l *plan, root linux.Value) {
	if !OwnMounts(b.spec.Linux) {
		l.Doing("chroot " + b.root)
		l.shell("chroot", b.root)
		l.ChangeRoot(root)
		return
	}
	l.Doing("pivot_root " + b.root)
	l.shell("pivot_root", b.root, b.root)
	if b.noPivot {
		l.MoveRoot(root)
		return
	}
	propagation, _ := rootPropagation(b.spec.Linux.RootfsPropagation) // mountAll has checked it
	l.PivotRoot(root, propagation&linux.MsShared != 0)
}

// OwnMounts reports whether a container gets a new mount namespace. Without one, other processes see its mounts, and
// its root is only one of chroot(2).
func OwnMounts(l *specs.Linux) bool {
	for _, ns := range l.Namespaces {
		if ns.Type == specs.MountNamespace {
			return ns.Path == ""
		}
	}
	return false
}

// joinNamespaces joins the namespaces that the document gives a path for, and makes the cgroup namespace: the child is
// now in the group that becomes its root. The mount namespace comes last, because the paths are in ours.
func (b *blueprint) joinNamespaces(l *plan) {
	byMounts := func(x, y specs.LinuxNamespace) int {
		return cmp.Compare(namespaceFlags()[x.Type]&linux.NewNS, namespaceFlags()[y.Type]&linux.NewNS)
	}
	for _, ns := range slices.SortedStableFunc(slices.Values(b.spec.Linux.Namespaces), byMounts) {
		kind, ok := namespaceFlags()[ns.Type]
		switch {
		case !ok || ns.Path == "" && ns.Type != specs.CgroupNamespace || ns.Type == specs.PIDNamespace:
			continue // clone(2) has made it; the parent has joined the pid namespace
		case ns.Path == "":
			l.Doing("make the cgroup namespace")
			l.shell("unshare", "--cgroup")
			l.Unshare(kind)
			continue
		}
		l.Doing("join " + string(ns.Type) + " namespace " + ns.Path)
		l.shell("nsenter", "--"+string(ns.Type)+"="+ns.Path)
		fd := l.Open(ns.Path, os.O_RDONLY).Into()
		l.Setns(fd, kind)
		l.Close(fd)
	}
}

// nameHost sets the names in the UTS namespace, and sets the loopback link of a new network namespace up.
func (b *blueprint) nameHost(l *plan) {
	if name := b.spec.Hostname; name != "" {
		l.Doing("set hostname " + name)
		l.shell("hostname", name)
		l.SetHostname(name)
	}
	if name := b.spec.Domainname; name != "" {
		l.Doing("set domainname " + name)
		l.shell("domainname", name)
		l.SetDomainname(name)
	}
	for _, ns := range b.spec.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace && ns.Path == "" {
			l.Doing("set lo up")
			l.shell("ip", "link", "set", "lo", "up")
			l.LoopbackUp()
		}
	}
}

// namespaceFlags maps the document's names of namespaces to flags of clone(2).
func namespaceFlags() map[specs.LinuxNamespaceType]int {
	return map[specs.LinuxNamespaceType]int{
		specs.PIDNamespace: linux.NewPID, specs.NetworkNamespace: linux.NewNet, specs.MountNamespace: linux.NewNS,
		specs.IPCNamespace: linux.NewIPC, specs.UTSNamespace: linux.NewUTS, specs.CgroupNamespace: linux.NewCgroup,
		specs.TimeNamespace: linux.NewTime,
	}
}

// absolute resolves a path of the document relative to the bundle.
func (b *blueprint) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(b.bundle, path)
}

// mkdirAll makes a directory beneath the root, with its parents, and returns it (O_PATH). It follows links beneath the
// root. If the directory exists, that takes one call.
func (s *plan) mkdirAll(root linux.Value, name string) linux.Value {
	name = filepath.Clean("/" + name)
	opened := s.OpenInRoot(root, name, linux.OPath|syscall.O_DIRECTORY)
	dir := opened.Into()
	if name == "/" {
		return dir
	}
	opened.Ignoring(syscall.ENOENT)
	opened.OrElse(func() { s.mkdirAllInto(root, name, dir) })
	return dir
}

// mkdirAllInto is mkdirAll for a directory that does not exist.
func (s *plan) mkdirAllInto(root linux.Value, name string, dir linux.Value) {
	name = filepath.Clean("/" + name)
	done := ""
	for _, element := range strings.Split(name[1:], "/") {
		if done == "" {
			s.asRoot(func() { s.Mkdir(root, element, 0o755).Ignoring(syscall.EEXIST) })
		} else {
			parent := s.OpenInRoot(root, done, linux.OPath|syscall.O_DIRECTORY).Into()
			s.asRoot(func() { s.Mkdir(parent, element, 0o755).Ignoring(syscall.EEXIST) })
			s.Close(parent)
		}
		done += "/" + element
	}
	s.OpenInRoot(root, name, linux.OPath|syscall.O_DIRECTORY).IntoSame(dir)
}

// createFile makes an empty file beneath the root, with its parents, and returns it (O_PATH). An existing file stays as
// it is.
func (s *plan) createFile(root linux.Value, name string) linux.Value {
	opened := s.OpenInRoot(root, name, linux.OPath)
	file := opened.Ignoring(syscall.ENOENT).Into()
	opened.OrElse(func() {
		dir := s.mkdirAll(root, filepath.Dir(filepath.Clean("/"+name)))
		s.asRoot(func() { s.Mknod(dir, filepath.Base(name), syscall.S_IFREG|0o644, 0, 0).Ignoring(syscall.EEXIST) })
		s.Close(dir)
		s.OpenInRoot(root, name, linux.OPath).IntoSame(file)
	})
	return file
}
