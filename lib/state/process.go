package state

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/weikeit/mydocker/lib/linux"
)

// Process names a process for as long as the machine is up: a pid alone is given out again.
type Process struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // clock ticks from boot to its start (proc(5), stat field 22)
	BootID string `json:"boot"`  // /proc/sys/kernel/random/boot_id
}

// FindProcess returns the process that has the pid now.
func FindProcess(pid int) (Process, error) {
	now, err := stat(pid)
	if err != nil {
		return Process{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return Process{PID: pid, Start: now.start, BootID: bootID()}, nil
}

// Alive reports whether the process still runs. A zombie does not, unless only its first thread has ended: that is so
// in programs that go on without it, and for a moment where another thread executes a program (execve(2)).
func (p Process) Alive() bool {
	if p.PID <= 0 || p.BootID != bootID() {
		return false
	}
	now, err := stat(p.PID)
	ended := now.status == 'X' || now.status == 'Z' && now.threads <= 1
	return err == nil && now.start == p.Start && !ended
}

// bootID does not change while a process lives.
var bootID = sync.OnceValue(func() string {
	id, err := linux.ReadRecord("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

// procStat is what is read of /proc/pid/stat (proc(5)).
type procStat struct {
	status  byte   // field 3, a letter
	threads int    // field 20
	start   uint64 // field 22, in clock ticks since boot
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
