package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// Process identifies a process until the next reboot. A pid alone does not: it is reused, and means another process in
// another pid namespace.
type Process struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // clock ticks from boot to its start (proc(5), stat field 22), in the initial time namespace
	BootID string `json:"boot"`  // /proc/sys/kernel/random/boot_id

	// The namespaces of the process that made the record, by inode: PID is valid in the first, and cgroup paths start
	// in the second. 0: an older release made the record.
	PIDNS    uint64 `json:"pidns,omitempty"`
	CgroupNS uint64 `json:"cgroupns,omitempty"`
}

// Life is whether a process is alive.
type Life int

// Unknown means that the process may be in a pid namespace that is not visible here. Nothing of an Unknown process is
// cleaned up.
const (
	Dead Life = iota
	Unknown
	Alive
)

// ErrElsewhere means that a process has no pid in this pid namespace.
var ErrElsewhere = errors.New("process is in another pid namespace")

// FindProcess returns the process that has the pid now.
func FindProcess(pid int) (Process, error) {
	here := ownNamespaces()
	if here.pidns == 0 || bootID() == "" { // other processes could not identify it
		return Process{}, fmt.Errorf("identify process %d: /proc is of another pid namespace or incomplete", pid)
	}
	now, err := stat(pid)
	if err != nil {
		return Process{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return Process{PID: pid, Start: here.boottime(now.start), BootID: bootID(), PIDNS: here.pidns, CgroupNS: here.cgroupns}, nil
}

// Alive reports whether the process certainly runs. A zombie does not, unless only its first thread has ended: a
// program can go on without it, and execve(2) by another thread looks like that for a moment.
func (p Process) Alive() bool { return p.Life() == Alive }

// Life reports whether the process runs.
func (p Process) Life() Life {
	_, life := p.Local()
	return life
}

// Local returns the pid of the process in this pid namespace, 0 if it has none, and whether it runs.
func (p Process) Local() (pid int, life Life) {
	if life := p.lifeByPID(); life != Unknown {
		return p.PID, life
	}
	return p.search()
}

// Number returns the pid of the process in this pid namespace, 0 if it has none, without asking whether it runs.
func (p Process) Number() int {
	if p.PIDNS == 0 || p.PIDNS == ownNamespaces().pidns {
		return p.PID
	}
	pid, _ := p.Local()
	return pid
}

// Open returns a pidfd of the process. The error wraps [os.ErrProcessDone] if the process has ended; otherwise it is
// [ErrElsewhere].
func (p Process) Open() (*os.File, error) {
	pid, life := p.Local()
	switch {
	case life == Dead:
		return nil, os.ErrProcessDone
	case pid == 0:
		return nil, ErrElsewhere
	}
	pidfd, err := linux.PidfdOpen(pid)
	if err != nil {
		return nil, os.ErrProcessDone
	}
	if again, life := p.Local(); life != Alive || again != pid { // the pid was not reused before the pidfd was opened
		pidfd.Close()
		return nil, os.ErrProcessDone
	}
	return pidfd, nil
}

// Stopped reports whether the process is stopped by a signal or a debugger.
func (p Process) Stopped() bool {
	pid, life := p.Local()
	if life != Alive || pid == 0 {
		return false
	}
	now, err := stat(pid)
	return err == nil && (now.status == 'T' || now.status == 't')
}

// ExitCode returns the exit code of a process that its parent has not reaped yet; for a signal, 128 plus its number.
func (p Process) ExitCode() (code int, known bool) {
	data, err := linux.ReadFile("/proc/" + strconv.Itoa(p.Number()) + "/stat")
	now, statErr := stat(p.Number())
	if err != nil || statErr != nil || now.status != 'Z' || now.is(p, ownNamespaces()) != Alive {
		return 0, false
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	const exitCode = 52 - 3 // proc(5)
	if len(fields) <= exitCode {
		return 0, false
	}
	n, err := strconv.Atoi(string(fields[exitCode]))
	status := syscall.WaitStatus(n)
	if status.Signaled() {
		return 128 + int(status.Signal()), err == nil
	}
	return status.ExitStatus(), err == nil
}

// lifeByPID decides by the pid in the record alone.
func (p Process) lifeByPID() Life {
	if p.PID <= 0 {
		return Dead
	}
	if boot := bootID(); p.BootID != boot && boot != "" {
		if p.BootID != "" && ownBootID() {
			return Dead
		}
		return Unknown // a container manager shows a made-up id (systemd-nspawn(1))
	}
	here := ownNamespaces()
	if p.BootID == "" || here.pidns == 0 || p.PIDNS != 0 && p.PIDNS != here.pidns {
		return Unknown
	}
	now, err := stat(p.PID)
	switch {
	case err == nil && now.is(p, here) == Alive && now.ended():
		return Dead
	case err == nil && now.is(p, here) != Dead:
		return now.is(p, here)
	case p.PIDNS == 0: // the pid may be of another namespace
		return Unknown
	case err == nil:
		return Dead // the pid was reused
	case syscall.Kill(p.PID, 0) == syscall.ESRCH:
		return Dead
	}
	return Unknown // hidden (proc(5), hidepid)
}

// search looks for the process among all visible ones, by its pid in its own namespace. In the initial pid namespace, a
// process that is not found is dead.
func (p Process) search() (pid int, life Life) {
	here := ownNamespaces()
	if p.BootID == "" || here.pidns == 0 {
		return 0, Unknown
	}
	pids, err := visiblePIDs()
	if err != nil {
		return 0, Unknown
	}
	for _, pid := range pids {
		if now, err := stat(pid); err == nil && now.is(p, here) == Alive && slices.Contains(nsPIDs(pid), p.PID) {
			if now.ended() {
				return pid, Dead
			}
			return pid, Alive
		}
	}
	if here.pidns == initialPIDNS && !hidesProcesses() {
		return 0, Dead
	}
	return 0, Unknown
}

// nsPIDs returns the pids of a process, from that in our pid namespace to that in its own. The one in the record may be
// in between: a container's first process is the first of a namespace.
func nsPIDs(pid int) []int {
	data, err := linux.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return nil
	}
	_, rest, ok := strings.Cut(string(data), "\nNSpid:")
	if !ok {
		return nil
	}
	line, _, _ := strings.Cut(rest, "\n")
	var list []int
	for _, word := range strings.Fields(line) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil
		}
		list = append(list, n)
	}
	return list
}

// visiblePIDs returns the pids in /proc.
func visiblePIDs() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// hidesProcesses reports whether /proc hides processes (hidepid), which includes pid 1.
func hidesProcesses() bool {
	_, err := stat(1)
	return err != nil
}

// bootID does not change during the life of a process.
var bootID = sync.OnceValue(func() string {
	id, err := linux.ReadRecord(bootIDPath)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

const bootIDPath = "/proc/sys/kernel/random/boot_id"

// ownBootID reports whether the file is the kernel's, and not one mounted over it.
func ownBootID() bool {
	var shown, proc syscall.Stat_t
	return syscall.Stat(bootIDPath, &shown) == nil && syscall.Stat("/proc/self", &proc) == nil && shown.Dev == proc.Dev
}

// The inodes of the initial namespaces (include/linux/proc_ns.h).
const (
	initialPIDNS  = 0xeffffffc
	initialTimeNS = 0xeffffffa
)

// namespaceView is what the namespaces of this process show.
type namespaceView struct {
	pidns    uint64 // 0: /proc belongs to another pid namespace
	cgroupns uint64
	offset   int64 // clock ticks that our time namespace adds to the time since boot
	exact    bool  // the offset is known and a whole number of ticks
}

var ownNamespaces = sync.OnceValue(func() namespaceView {
	p := namespaceView{pidns: inode("/proc/self/ns/pid"), cgroupns: inode("/proc/self/ns/cgroup"), exact: true}
	// In a /proc of our own pid namespace, this process has a single pid.
	if p.pidns != initialPIDNS && inode("/proc/1/ns/pid") != p.pidns && len(nsPIDs(os.Getpid())) != 1 {
		p.pidns = 0
	}
	if now := inode("/proc/self/ns/time"); now != 0 && now != initialTimeNS {
		p.offset, p.exact = timeOffset()
		p.exact = p.exact && now == inode("/proc/self/ns/time_for_children") // the offsets are those of time_for_children
	}
	return p
})

// boottime converts a start time in /proc into clock ticks since boot; 0 if the offset is not exact.
func (w namespaceView) boottime(start uint64) uint64 {
	if !w.exact {
		return 0
	}
	return uint64(int64(start) - w.offset)
}

// inode returns the inode of a namespace file, 0 if there is none.
func inode(path string) uint64 {
	var s syscall.Stat_t
	if syscall.Stat(path, &s) != nil {
		return 0
	}
	return s.Ino
}

// timeOffset returns what our time namespace adds to the time since boot, in clock ticks (time_namespaces(7)).
func timeOffset() (ticks int64, exact bool) {
	data, err := linux.ReadRecord("/proc/self/timens_offsets")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		var seconds, nanoseconds int64
		if n, _ := fmt.Sscanf(line, "boottime %d %d", &seconds, &nanoseconds); n == 2 {
			const tick = 1e7
			return seconds*100 + nanoseconds/tick, nanoseconds%tick == 0
		}
	}
	return 0, false
}

// procStat is the part of /proc/PID/stat that is read (proc(5)).
type procStat struct {
	status  byte   // field 3, a letter
	parent  int    // field 4
	threads int    // field 20
	start   uint64 // field 22, in clock ticks since boot
}

func (s procStat) ended() bool { return s.status == 'X' || s.status == 'Z' && s.threads <= 1 }

// is reports whether this is process p: Alive if it is, Dead if it is another one.
func (s procStat) is(p Process, here namespaceView) Life {
	switch start := here.boottime(s.start); {
	case start == 0 || p.Start == 0:
		return Unknown
	case start == p.Start:
		return Alive
	}
	return Dead
}

func stat(pid int) (s procStat, err error) {
	var record linux.Record
	data, err := record.Read("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return s, err
	}
	// The second field is the command name in parentheses, which may contain spaces and parentheses itself.
	number := 3
	for field := range bytes.FieldsSeq(data[bytes.LastIndexByte(data, ')')+1:]) {
		switch number {
		case 3:
			s.status = field[0]
		case 4:
			if s.parent, err = strconv.Atoi(string(field)); err != nil {
				return s, err
			}
		case 20:
			if s.threads, err = strconv.Atoi(string(field)); err != nil {
				return s, err
			}
		case 22:
			s.start, err = strconv.ParseUint(string(field), 10, 64)
			return s, err
		}
		number++
	}
	return s, fmt.Errorf("/proc/%d/stat: too few fields", pid)
}
