package state

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
)

// Look is the state of a container's processes.
type Look struct {
	Run     Run  // the run file's content; if that is lost or torn, what the cgroup shows instead
	Program Life // PID 1
	Monitor Life // the process that waits for PID 1, or the command that owns the container
}

// Owned reports whether the container has an owner. Unknown counts as alive.
func (l Look) Owned() bool { return l.Program != Dead || l.Monitor != Dead }

// Look returns the state of container id's processes. It asks three sources in this order until the answer is certain:
// the pids in the run file, which are valid in one pid namespace only; the byte that a monitor, or a command in the
// foreground, locks ([Dir.LockMonitorByte]); and the cgroup, which is populated as long as there is a process. If none
// of them answers, the container counts as alive.
func (d Dir) Look(id string) Look {
	monitored, done := d.MonitorBytes()
	defer done()
	return d.look(id, monitored)
}

// look is [Dir.Look] with monitored from one call of [Dir.MonitorBytes] for many containers. A process removes its run
// file before it ends. If the run file has changed when the process is found dead, the container has a new owner or
// none, and look reads again.
func (d Dir) look(id string, monitored func(string) bool) Look {
	run, err := d.ReadRun(id)
	for {
		l := d.lookAt(id, run, err, monitored)
		if l.Owned() {
			return l
		}
		again, againErr := d.ReadRun(id)
		if again == run && (againErr == nil) == (err == nil) {
			return l
		}
		run, err = again, againErr
	}
}

func (d Dir) lookAt(id string, run Run, err error, monitored func(string) bool) Look {
	if err != nil || run == (Run{}) {
		return d.withoutRunFile(id, err != nil, monitored)
	}
	l := Look{Run: run, Program: run.Init.lifeByPID(), Monitor: run.Monitor.lifeByPID()}
	if l.Program != Unknown && l.Monitor != Unknown {
		return l
	}
	started := run.Init.PID != 0 && run.Restart.IsZero()
	if monitored(id) {
		l.Monitor = Alive
		if l.Program == Unknown {
			l.Program = Dead
			if started {
				l.Program = Alive
			}
		}
		return l
	}
	if l.Monitor == Unknown {
		// A process that has started the program had locked its byte before. One that has not may be a command.
		if _, l.Monitor = run.Monitor.search(); l.Monitor == Unknown && run.Init.PID != 0 {
			l.Monitor = Dead
		}
	}
	if l.Program == Unknown {
		if _, l.Program = run.Init.search(); l.Program == Unknown {
			l.Program = lifeByCgroup(d.cgroupOf(id), run.Init)
		}
	}
	return l
}

// withoutRunFile is for a container whose run file is lost or torn. A stopped container has none either; its spawn
// record says so.
func (d Dir) withoutRunFile(id string, torn bool, monitored func(string) bool) Look {
	l := Look{}
	if monitored(id) {
		l.Monitor = Alive
	} else if !torn {
		if life, err := d.ReadSpawn(id); d.gone(id) || err == nil && d.Kept(id) && (life.Started.IsZero() || !life.Finished.IsZero()) {
			return l
		}
	}
	if l.Program = lifeByCgroup(d.cgroupOf(id), Process{}); l.Program == Unknown && l.Monitor == Dead && !torn {
		l.Program = Dead // nothing says otherwise: the machine has rebooted
	}
	if l.Program != Dead {
		l.Run = d.reconstruct(id)
		l.Monitor = max(l.Monitor, l.Run.Monitor.Life())
	}
	return l
}

// LifeIn reports whether the first process of a container is alive. It asks the cgroup if the pid is not enough.
func (p Process) LifeIn(group string) Life {
	if life := p.Life(); life != Unknown {
		return life
	}
	return lifeByCgroup(group, p)
}

// lifeByCgroup reports by its cgroup whether a program is alive. first is its process in the run file, if known.
func lifeByCgroup(group string, first Process) Life {
	o := linux.CgroupOccupancy(group)
	here := ownNamespaces()
	sameGroups := first.CgroupNS != 0 && first.CgroupNS == here.cgroupns
	samePids := first.PIDNS != 0 && first.PIDNS == here.pidns
	switch {
	case o.Occupied:
		return Alive
	case o.There && (o.Certain || samePids || here.pidns == initialPIDNS):
		return Dead
	case o.Seen && !o.There && (sameGroups || first.PID == 0 || first.PIDNS == 0): // the cgroup was removed
		return Dead
	}
	return Unknown
}

// CgroupPath is the cgroup of container id, unless its document names another.
func CgroupPath(id string) string { return "/mydocker/" + id }

func (d Dir) cgroupOf(id string) string {
	if s, err := readSpec(d.Config(id)); err == nil && s.LinuxPart().CgroupsPath != "" {
		return s.Linux.CgroupsPath
	}
	return CgroupPath(id)
}

// reconstruct returns what the run file of a running container would contain. Its first process is the oldest one in
// its cgroup, and the parent of that is the monitor.
func (d Dir) reconstruct(id string) Run {
	var run Run
	run.Init = oldestProcess(d.cgroupOf(id))
	if first, err := stat(run.Init.PID); err == nil && isOurProgram(first.parent) {
		run.Monitor, _ = FindProcess(first.parent)
	}
	return run
}

// oldestProcess returns the oldest process of a cgroup, the zero Process if none is visible in this pid namespace.
func oldestProcess(group string) Process {
	var oldest Process
	for _, pid := range linux.CgroupProcesses(group) {
		now, err := stat(pid)
		if err != nil || now.ended() {
			continue
		}
		if p, err := FindProcess(pid); err == nil && (oldest.PID == 0 || p.Start < oldest.Start) {
			oldest = p
		}
	}
	return oldest
}

// isOurProgram reports whether a process is one of our programs.
func isOurProgram(pid int) bool {
	exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	name := strings.TrimSuffix(filepath.Base(exe), " (deleted)")
	return err == nil && slices.Contains([]string{"md-spawn", "mydocker"}, name)
}
