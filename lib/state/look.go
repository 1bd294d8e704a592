package state

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
)

// Look is what can be told of a container's processes.
type Look struct {
	Run     Run  // the note; where that is lost or torn, what the control group shows in its place
	Program Life // whether PID 1 runs
	Monitor Life // whether the process that waits for it does, or the command that has it
}

// Owned reports whether the container is some process's: what is Unknown counts as alive.
func (l Look) Owned() bool { return l.Program != Dead || l.Monitor != Dead }

// Look tells whether container id runs. Three are asked, in this order, until the answer is certain: the note, by the
// pids in it, which mean something in one pid namespace only; the byte that is locked while a monitor, or a command in
// the foreground, stays with the container ([Dir.LockMonitorByte]); and the control group, which is occupied as long as there
// is a process. Where none of them answers, the container is taken to be there.
func (d Dir) Look(id string) Look {
	monitored, done := d.MonitorBytes()
	defer done()
	return d.look(id, monitored)
}

// look asks about one of many containers. A process that ends takes its note away before: where the note is another
// than it was, or gone, when the process is dead, another was quicker.
func (d Dir) look(id string, monitored func(string) bool) Look {
	run, err := d.ReadRun(id)
	for {
		l := d.judge(id, run, err, monitored)
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

func (d Dir) judge(id string, run Run, err error, monitored func(string) bool) Look {
	if err != nil || run == (Run{}) {
		return d.withoutRunFile(id, err != nil, monitored)
	}
	l := Look{Run: run, Program: run.Init.glance(), Monitor: run.Monitor.glance()}
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
		// A process that has started the program has locked the byte before. One that has not may be a command.
		if _, l.Monitor = run.Monitor.search(); l.Monitor == Unknown && run.Init.PID != 0 {
			l.Monitor = Dead
		}
	}
	if l.Program == Unknown {
		if _, l.Program = run.Init.search(); l.Program == Unknown {
			l.Program = occupied(d.groupOf(id), run.Init)
		}
	}
	return l
}

// withoutRunFile tells of a container whose note is lost or torn. One that has ended has none either, and is known by what
// is noted of its life.
func (d Dir) withoutRunFile(id string, torn bool, monitored func(string) bool) Look {
	l := Look{}
	if monitored(id) {
		l.Monitor = Alive
	} else if !torn {
		if life, err := d.ReadSpawn(id); d.gone(id) || err == nil && d.Kept(id) && (life.Started.IsZero() || !life.Finished.IsZero()) {
			return l
		}
	}
	if l.Program = occupied(d.groupOf(id), Process{}); l.Program == Unknown && l.Monitor == Dead && !torn {
		l.Program = Dead // there is nothing that says otherwise: the machine was started anew
	}
	if l.Program != Dead {
		l.Run = d.reconstruct(id)
		l.Monitor = max(l.Monitor, l.Run.Monitor.Life())
	}
	return l
}

// LifeIn tells whether the first process of a container runs, by its control group where its pid does not tell.
func (p Process) LifeIn(group string) Life {
	if life := p.Life(); life != Unknown {
		return life
	}
	return occupied(group, p)
}

// occupied tells whether a program runs by its control group. first is what is noted of it, if that is known.
func occupied(group string, first Process) Life {
	o := linux.GroupOccupancy(group)
	here := whereWeAre()
	sameGroups := first.CgroupNS != 0 && first.CgroupNS == here.cgroupns
	samePids := first.PIDNS != 0 && first.PIDNS == here.pidns
	switch {
	case o.Occupied:
		return Alive
	case o.There && (o.Certain || samePids || here.pidns == firstPIDNS):
		return Dead
	case o.Seen && !o.There && (sameGroups || first.PID == 0 || first.PIDNS == 0): // its group has gone
		return Dead
	}
	return Unknown
}

// GroupPath is the control group of container id, unless its document names another.
func GroupPath(id string) string { return "/mydocker/" + id }

func (d Dir) groupOf(id string) string {
	if s, err := readSpec(d.Config(id)); err == nil && s.LinuxPart().CgroupsPath != "" {
		return s.Linux.CgroupsPath
	}
	return GroupPath(id)
}

// reconstruct returns what the note of a container that runs would say: its first process is the oldest in its control
// group, and the parent of that waits for it.
func (d Dir) reconstruct(id string) Run {
	var run Run
	run.Init = Oldest(d.groupOf(id))
	if first, err := stat(run.Init.PID); err == nil && isOurs(first.parent) {
		run.Monitor, _ = FindProcess(first.parent)
	}
	return run
}

// Oldest returns the oldest process of a control group, the zero Process where none is seen from here.
func Oldest(group string) Process {
	var oldest Process
	for _, pid := range linux.GroupProcesses(group) {
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

// isOurs reports whether a process is one of our programs.
func isOurs(pid int) bool {
	exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	name := strings.TrimSuffix(filepath.Base(exe), " (deleted)")
	return err == nil && slices.Contains([]string{"md-spawn", "mydocker"}, name)
}
