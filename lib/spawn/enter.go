package spawn

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// enter prepares the start of a program in the namespaces of process pid and in a control group; nil is the caller's own.
func enter(s *spec.Spec, pid int, pidfd *os.File, proc *specs.Process, group *cgroup.Group) (*Launch, error) {
	l := &Launch{group: group, Die: true}
	if err := checkProcessIDs(proc); err != nil {
		return nil, err
	}
	if err := l.openNamespaces(s, pid); err != nil {
		return nil, fmt.Errorf("enter container %s: %w", s.ID(), err)
	}
	var procsFiles []string
	if group != nil {
		procsFiles = group.ProcsFiles()
	}
	filter, err := filterOf(s)
	if err != nil {
		return nil, err
	}
	own, err := l.openUsersOf(s, pid)
	if err != nil {
		return nil, fmt.Errorf("enter container %s: %w", s.ID(), err)
	}
	l.compile = func(fds descriptors) (*plan, error) {
		fds.pidfd = int(pidfd.Fd())
		p := newProgram(proc, l.Screen, fds, own)
		p.filter = filter
		p.die, p.path = l.Die, l.path
		x := newPlan(p)
		p.begin(x)
		p.joinGroups(x, procsFiles)
		x.Doing("enter container " + s.ID())
		x.shell("nsenter", "--target", strconv.Itoa(pid), "--all", "--")
		l.joinAll(x, fds)
		if proc.Terminal {
			p.openTerminal(x)
		} else {
			p.openNodesInside(x)
		}
		p.setSchedule(x)
		p.setLimits(x)
		p.enterUsers(x)
		p.become(x)
		return x, x.Err()
	}
	return l, nil
}

// openNamespaces opens the pid namespace of process pid if the container has one of its own. It applies to children to
// come, so the parent joins it. The child joins the others ([Launch.joinAll]).
func (l *Launch) openNamespaces(s *spec.Spec, pid int) (err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	for _, ns := range s.LinuxPart().Namespaces {
		if ns.Type != specs.PIDNamespace {
			l.kinds |= namespaceFlags()[ns.Type]
		} else if l.pidNS, err = os.Open(dir + "/ns/pid"); err != nil {
			return errnoOf(err)
		}
	}
	if !OwnMounts(s.Linux) {
		if l.root, err = os.OpenFile(dir+"/root", linux.OPath|syscall.O_DIRECTORY, 0); err != nil {
			return errnoOf(err)
		}
	}
	return nil
}

// openUsersOf opens the user namespace of process pid; nil if the container has none of its own.
func (l *Launch) openUsersOf(s *spec.Spec, pid int) (*idMap, error) {
	own, err := idMapOfProcess(s, pid)
	if own != nil {
		l.idMaps = append(l.idMaps, own)
	}
	return own, err
}

// joinAll enters the namespaces of a running container, and its root.
func (l *Launch) joinAll(x *plan, fds descriptors) {
	if l.kinds != 0 {
		x.Setns(linux.FD(fds.pidfd), l.kinds)
	}
	if fds.root >= 0 {
		x.ChangeRoot(linux.FD(fds.root))
	}
}
