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

// blueprint is all that the list of system calls for a new container is made of ([blueprint.compile]): the
// document, and what it means on this host.
type blueprint struct {
	spec            *specs.Spec
	bundle          string        // relative paths of the document start here
	root            string        // absolute
	cgroups         []cgroupMount // what the container shall see of its control group
	procsFiles      []string      // files of control groups that a process joins by writing 0
	hasRuntimeHooks bool          // somebody outside has something to do before the mounts are made
	parent          string        // the mount that the root lies in, where it must not stay shared; "" where it is not
	noPivot         bool          // the root is moved, not pivoted: for a host that runs from its initramfs
	program         program

	mapped []*idMap // the mounts on which files are other users'; nil for most

	isEmpty func(path string) bool // asks whether the image has nothing at a path

	isDir func(path string) (bool, error) // asks the host about the source of a bind mount
}

// cgroupMount is one hierarchy as the container shall see it below /sys/fs/cgroup.
type cgroupMount struct {
	source string // the container's own group
	name   string // cpu, memory …; "" for the unified hierarchy
}

// program is what a list ends with: the process of the document.
type program struct {
	process *specs.Process
	path    string           // of the program, where its first word is another
	size    linux.WindowSize // of the terminal, where there is one
	die     bool             // the program dies with the parent
	keyring bool             // the caller's session keyring stays
	files   [2]uint64        // the caller's limit on open files, soft and hard
	held    linux.Capabilities
	filter  *seccomp.Filter // of system calls; nil for none
	users   *idMap          // the container's own; nil for the host's
	fds     descriptors
}

// descriptors are those that the child has from its parent. All others are closed.
type descriptors struct {
	stdio  [3]int
	socket int // to the parent
	spare  int // the parent's end of it, which is nothing to the child: its number is free
	reaper int // the small init that stays as PID 1 (--init); -1 for none
	root   int // of a container that has no mount namespace of its own, for exec; -1 for none
	start  int // a FIFO that the child reads a byte from before it becomes the program; -1 for none
	kept   int // so many from 3 on are the program's
	pidfd  int // the container's first process, for exec; -1 for none
	users  map[*idMap]int

	nodes [3]node // what takes the place of a stream that is a device of the host's
}

// plan is a list with what its parent needs to know of it.
type plan struct {
	*linux.Steps
	syncPoints map[int]SyncPoint // by step: where the child waits for us
	lookup     int               // first step that looks for the program
	name       string            // of the program
	trace      []string          // what is done, as shell commands, for --debug
	users      *idMap            // of the container
	own        ownNodes
	profile    linux.Value // the open file that takes the AppArmor profile
}

// SyncPoint is a point where the child waits until something is done outside.
type SyncPoint int

const (
	BeforeMounts  SyncPoint = iota // the namespaces are there
	BeforePivot                    // the mounts are made, the old root is still there
	BeforeProgram                  // inside, with the rights of a container's root: hooks
	Ready                          // all that is left is to execute the program
)

func (s *plan) syncPoint(m SyncPoint) { s.syncPoints[s.SyncPoint()] = m }

// shell notes what the steps to come are in a shell, where somebody listens.
func (s *plan) shell(argv ...string) {
	if linux.Tracing() {
		s.trace = append(s.trace, linux.Quote(argv...))
	}
}

func newPlan(p *program) *plan {
	return &plan{Steps: linux.NewSteps(p.fds.socket), syncPoints: make(map[int]SyncPoint), users: p.users}
}

// compile turns the blueprint into the list: what runtime-spec, config.md and config-linux.md ask for, in the
// order that the kernel needs. It asks nobody and changes nothing.
func (b *blueprint) compile() (*plan, error) {
	l := newPlan(&b.program)
	b.program.begin(l)
	l.Umask(0) // what is made for the container gets the modes that are given
	b.program.joinGroups(l, b.procsFiles)
	b.joinNamespaces(l)
	b.nameHost(l)
	if b.hasRuntimeHooks {
		l.Doing("wait for the hooks")
		l.syncPoint(BeforeMounts)
	}
	root := b.mountAll(l)
	b.makeDevices(l, root)
	if cwd := b.program.process.Cwd; cwd != "" {
		// As docker does: a working directory that the image lacks is made.
		l.Doing("working directory")
		l.Close(l.mkdirAll(root, cwd))
	}
	b.protect(l, root)
	hooks := b.spec.Hooks
	if hooks != nil && len(hooks.CreateContainer) > 0 {
		l.syncPoint(BeforePivot)
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
	if hooks != nil && len(hooks.StartContainer) > 0 && b.program.fds.start < 0 { // else who starts it runs them
		l.syncPoint(BeforeProgram)
	}
	b.program.become(l)
	return l, l.Err()
}

// changeRoot makes the root that of the child: of all in its mount namespace where that is its own.
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
	propagation, _ := rootPropagation(b.spec.Linux.RootfsPropagation) // looked at by mountAll
	l.PivotRoot(root, propagation&linux.MsShared != 0)
}

// OwnMounts reports whether a container gets a mount namespace of its own. Others see its mounts where it gets none,
// and its root is one by chroot(2) alone.
func OwnMounts(l *specs.Linux) bool {
	for _, ns := range l.Namespaces {
		if ns.Type == specs.MountNamespace {
			return ns.Path == ""
		}
	}
	return false
}

// joinNamespaces joins the namespaces that the document gives a path for, and makes the cgroup
// namespace: only now are we in the group that shall be its root. The mount namespace comes last: the paths of the
// others are ours.
func (b *blueprint) joinNamespaces(l *plan) {
	byMounts := func(x, y specs.LinuxNamespace) int {
		return cmp.Compare(namespaceFlags()[x.Type]&linux.NewNS, namespaceFlags()[y.Type]&linux.NewNS)
	}
	for _, ns := range slices.SortedStableFunc(slices.Values(b.spec.Linux.Namespaces), byMounts) {
		kind, ok := namespaceFlags()[ns.Type]
		switch {
		case !ok || ns.Path == "" && ns.Type != specs.CgroupNamespace || ns.Type == specs.PIDNamespace:
			continue // made by clone(2); the pid namespace was joined by the parent
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

// nameHost sets the names of the UTS namespace, and the loopback link of a new network namespace up.
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

// namespaceFlags are the kinds of namespaces by their names in the document.
func namespaceFlags() map[specs.LinuxNamespaceType]int {
	return map[specs.LinuxNamespaceType]int{
		specs.PIDNamespace: linux.NewPID, specs.NetworkNamespace: linux.NewNet, specs.MountNamespace: linux.NewNS,
		specs.IPCNamespace: linux.NewIPC, specs.UTSNamespace: linux.NewUTS, specs.CgroupNamespace: linux.NewCgroup,
		specs.TimeNamespace: linux.NewTime,
	}
}

// absolute resolves a path of the document, which starts at the bundle where it is relative.
func (b *blueprint) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(b.bundle, path)
}

// mkdirAll makes the directory that name means beneath the root, with its parents, and returns it
// (O_PATH). Links on the way are followed beneath the root. One that is there costs one call.
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

// mkdirAllInto is mkdirAll for what is known to be missing.
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

// createFile makes an empty file where name means none beneath the root, with its parents, and returns
// it (O_PATH). What is there already stays as it is.
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
