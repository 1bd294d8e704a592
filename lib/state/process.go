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

// Process names a process for as long as the machine is up: a pid alone is given out again, and means another process
// in another pid namespace.
type Process struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // clock ticks from boot to its start (proc(5), stat field 22), whatever the time namespace
	BootID string `json:"boot"`  // /proc/sys/kernel/random/boot_id

	// The namespaces of the process that noted it, by their inodes: in which PID is its number, and in which the paths
	// of control groups start. 0: the note is by a release that did not write them.
	PIDNS    uint64 `json:"pidns,omitempty"`
	CgroupNS uint64 `json:"cgroupns,omitempty"`
}

// Life is what can be told of a process.
type Life int

// Unknown is neither: the process may be in a pid namespace that this one does not see. What is Unknown is not to be
// cleaned up after.
const (
	Dead Life = iota
	Unknown
	Alive
)

// ErrElsewhere says that a process cannot be reached from this pid namespace.
var ErrElsewhere = errors.New("it runs in another pid namespace: do it there")

// FindProcess returns the process that has the pid now.
func FindProcess(pid int) (Process, error) {
	here := whereWeAre()
	if here.pidns == 0 || bootID() == "" { // others could not tell which process that is
		return Process{}, fmt.Errorf("look at process %d: /proc is not that of this pid namespace, or not whole", pid)
	}
	now, err := stat(pid)
	if err != nil {
		return Process{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return Process{PID: pid, Start: here.boottime(now.start), BootID: bootID(), PIDNS: here.pidns, CgroupNS: here.cgroupns}, nil
}

// Alive reports whether the process still runs for certain. A zombie does not, unless only its first thread has ended:
// that is so in programs that go on without it, and for a moment where another thread executes a program (execve(2)).
func (p Process) Alive() bool { return p.Life() == Alive }

// Life tells whether the process still runs.
func (p Process) Life() Life {
	_, life := p.Local()
	return life
}

// Local returns the number that the process has in this pid namespace, where it has one, and whether it runs.
func (p Process) Local() (pid int, life Life) {
	if life := p.glance(); life != Unknown {
		return p.PID, life
	}
	return p.search()
}

// Number is the number of the process in this pid namespace, 0 where it has none. Whether it still runs is not asked.
func (p Process) Number() int {
	if p.PIDNS == 0 || p.PIDNS == whereWeAre().pidns {
		return p.PID
	}
	pid, _ := p.Local()
	return pid
}

// Open returns a pidfd of the process, or an error that wraps [os.ErrProcessDone] where it has ended, and else
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
	if again, life := p.Local(); life != Alive || again != pid { // asked after the pidfd was opened: it is this process then
		pidfd.Close()
		return nil, os.ErrProcessDone
	}
	return pidfd, nil
}

// Stopped reports whether the process stands still by a signal, or by a debugger.
func (p Process) Stopped() bool {
	pid, life := p.Local()
	if life != Alive || pid == 0 {
		return false
	}
	now, err := stat(pid)
	return err == nil && (now.status == 'T' || now.status == 't')
}

// ExitCode returns with which code a process has ended whose parent has not asked for it yet, 128 and the number for a
// signal.
func (p Process) ExitCode() (code int, known bool) {
	data, err := linux.ReadFile("/proc/" + strconv.Itoa(p.Number()) + "/stat")
	now, statErr := stat(p.Number())
	if err != nil || statErr != nil || now.status != 'Z' || now.is(p, whereWeAre()) != Alive {
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

// glance tells what is to be told by the process's own number.
func (p Process) glance() Life {
	if p.PID <= 0 {
		return Dead
	}
	if boot := bootID(); p.BootID != boot && boot != "" {
		if p.BootID != "" && ownBootID() {
			return Dead
		}
		return Unknown // a container's manager shows an id of its own making (systemd-nspawn(1))
	}
	here := whereWeAre()
	if p.BootID == "" || here.pidns == 0 || p.PIDNS != 0 && p.PIDNS != here.pidns {
		return Unknown
	}
	now, err := stat(p.PID)
	switch {
	case err == nil && now.is(p, here) == Alive && now.ended():
		return Dead
	case err == nil && now.is(p, here) != Dead:
		return now.is(p, here)
	case p.PIDNS == 0: // perhaps another namespace's
		return Unknown
	case err == nil:
		return Dead // another process has the number by now
	case syscall.Kill(p.PID, 0) == syscall.ESRCH:
		return Dead
	}
	return Unknown // hidden from us (proc(5), hidepid)
}

// search looks for the process by the number that it has in its own pid namespace, among all that this one shows. Where
// this is the first one, what is not found is not there.
func (p Process) search() (pid int, life Life) {
	here := whereWeAre()
	if p.BootID == "" || here.pidns == 0 {
		return 0, Unknown
	}
	pids, err := processes()
	if err != nil {
		return 0, Unknown
	}
	for _, pid := range pids {
		if now, err := stat(pid); err == nil && now.is(p, here) == Alive && slices.Contains(numbers(pid), p.PID) {
			if now.ended() {
				return pid, Dead
			}
			return pid, Alive
		}
	}
	if here.pidns == firstPIDNS && !hidesProcesses() {
		return 0, Dead
	}
	return 0, Unknown
}

// numbers returns the numbers that a process has, in our pid namespace first, and last in its own: one of those between
// may be that of the process that noted it, since a container's first one is the first of a namespace.
func numbers(pid int) []int {
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

// processes returns the pids that /proc shows.
func processes() ([]int, error) {
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

// hidesProcesses reports whether /proc keeps processes from us: it then does so with the first one.
func hidesProcesses() bool {
	_, err := stat(1)
	return err != nil
}

// bootID does not change while a process lives.
var bootID = sync.OnceValue(func() string {
	id, err := linux.ReadRecord(bootIDPath)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

const bootIDPath = "/proc/sys/kernel/random/boot_id"

// ownBootID reports whether that is the kernel's own, and not a file that was mounted over it.
func ownBootID() bool {
	var shown, proc syscall.Stat_t
	return syscall.Stat(bootIDPath, &shown) == nil && syscall.Stat("/proc/self", &proc) == nil && shown.Dev == proc.Dev
}

// The numbers of the first namespaces (include/linux/proc_ns.h).
const (
	firstPIDNS  = 0xeffffffc
	firstTimeNS = 0xeffffffa
)

// place is where this process looks from.
type place struct {
	pidns    uint64 // 0: /proc is not that of our pid namespace
	cgroupns uint64
	offset   int64 // clock ticks that our time namespace adds to the time since boot
	exact    bool  // the offset is known, and no part of a tick
}

var whereWeAre = sync.OnceValue(func() place {
	p := place{pidns: inode("/proc/self/ns/pid"), cgroupns: inode("/proc/self/ns/cgroup"), exact: true}
	// Only a /proc of its own has a process of the first pid namespace in /proc/self.
	if p.pidns != firstPIDNS && inode("/proc/1/ns/pid") != p.pidns && len(numbers(os.Getpid())) != 1 {
		p.pidns = 0
	}
	if now := inode("/proc/self/ns/time"); now != 0 && now != firstTimeNS {
		p.offset, p.exact = timeOffset()
		p.exact = p.exact && now == inode("/proc/self/ns/time_for_children") // whose offset it is
	}
	return p
})

// boottime returns a start as /proc shows it here in ticks since boot, 0 where that is not known to the tick.
func (w place) boottime(start uint64) uint64 {
	if !w.exact {
		return 0
	}
	return uint64(int64(start) - w.offset)
}

// inode returns the inode of a namespace's file, 0 where there is none.
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

// procStat is what is read of /proc/pid/stat (proc(5)).
type procStat struct {
	status  byte   // field 3, a letter
	parent  int    // field 4
	threads int    // field 20
	start   uint64 // field 22, in clock ticks since boot
}

func (s procStat) ended() bool { return s.status == 'X' || s.status == 'Z' && s.threads <= 1 }

// is reports whether this is process p: Alive says yes.
func (s procStat) is(p Process, here place) Life {
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
	// The second field is the command in brackets, which may hold spaces and brackets itself.
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
