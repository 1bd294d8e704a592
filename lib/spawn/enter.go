package spawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Enter says how a process gets into the namespaces of the process pid and into the control group of its
// document.
func Enter(s *spec.Spec, pid int, proc *specs.Process, pidfd *os.File, size linux.WindowSize) (*Launch, error) {
	l := &Launch{group: s.LinuxPart().CgroupsPath, Die: true}
	if err := checkProcessIDs(proc); err != nil {
		return nil, err
	}
	if err := l.openNamespaces(s, pid); err != nil {
		return nil, fmt.Errorf("enter container %s: %w", s.ID(), err)
	}
	entrances, err := l.cgroupProcsFiles()
	if err != nil {
		return nil, err
	}
	filter, err := filterOf(s)
	if err != nil {
		return nil, err
	}
	own, err := usersOfProcess(s, pid)
	if err != nil {
		return nil, fmt.Errorf("enter container %s: %w", s.ID(), err)
	}
	if own != nil {
		l.idMaps = append(l.idMaps, own)
	}
	l.compile = func(fds descriptors) (*plan, error) {
		fds.pidfd = int(pidfd.Fd())
		p := newProgram(proc, size, fds, own)
		p.filter = filter
		p.die, p.path = l.Die, l.path
		x := newPlan(p)
		p.begin(x)
		p.joinGroups(x, entrances)
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

// openNamespaces opens the pid namespace of process pid where the container has one of its own: it is that of
// children to come, so the parent enters it. The others are for the child to enter ([Launch.joinAll]).
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

// joinAll enters the namespaces of a running container, and its root.
func (l *Launch) joinAll(x *plan, fds descriptors) {
	if l.kinds != 0 {
		x.Setns(linux.FD(fds.pidfd), l.kinds)
	}
	if fds.root >= 0 {
		x.ChangeRoot(linux.FD(fds.root))
	}
}

// cgroupProcsFiles returns the files of control groups that the child joins by writing 0.
func (l *Launch) cgroupProcsFiles() ([]string, error) {
	if l.group == "" {
		return nil, nil
	}
	group, err := cgroup.Open(l.group)
	if err != nil {
		return nil, err
	}
	return group.ProcsFiles(), nil
}

// UnlessEnded says so where a container ended while somebody entered it: its end kills whoever is in its pid namespace,
// lets nobody fork into that (ENOMEM, pid_namespaces(7)), and takes its files in /proc and its control groups away.
func UnlessEnded(err error, pidfd *os.File) error {
	const atOnce, soon = 0, 1000 // milliseconds
	wait := atOnce
	for _, hangup := range []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ESRCH, syscall.ENODEV, syscall.ENOMEM} {
		if errors.Is(err, hangup) {
			wait = soon
		}
	}
	if wait == atOnce && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if ended, _ := linux.PidfdWait(pidfd, wait); ended {
		return ErrNotRunning
	}
	return err
}

// ErrNotRunning is wrapped by errors about a container whose program has ended.
var ErrNotRunning = errors.New("is not running")

// OpenInit returns a pidfd of a container's first process.
func OpenInit(first state.Process) (*os.File, error) {
	pidfd, err := first.Open()
	if errors.Is(err, os.ErrProcessDone) {
		err = ErrNotRunning
	}
	return pidfd, err
}

// KillGroup ends all processes of a control group, and says why it could not else be done.
func KillGroup(path string, why error) error {
	group, err := cgroup.Open(path)
	if err != nil {
		return err
	}
	if err := group.Kill(context.Background()); err != nil && !errors.Is(err, cgroup.ErrForeign) {
		return err
	}
	if linux.CgroupOccupancy(path).Occupied {
		return why
	}
	return nil
}
