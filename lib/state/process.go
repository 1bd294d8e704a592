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
	start, _, err := stat(pid)
	if err != nil {
		return Process{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return Process{PID: pid, Start: start, BootID: bootID()}, nil
}

// Alive reports whether the process still runs. A zombie does not.
func (p Process) Alive() bool {
	if p.PID <= 0 || p.BootID != bootID() {
		return false
	}
	start, status, err := stat(p.PID)
	return err == nil && start == p.Start && status != 'Z' && status != 'X'
}

// bootID does not change while a process lives.
var bootID = sync.OnceValue(func() string {
	id, err := linux.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

// stat reads the start time and the state letter of a process (proc(5), /proc/pid/stat).
func stat(pid int) (start uint64, status byte, err error) {
	data, err := linux.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	// The second field is the command in brackets, which may hold spaces and brackets itself.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("/proc/%d/stat: too few fields", pid)
	}
	start, err = strconv.ParseUint(string(fields[19]), 10, 64)
	return start, fields[0][0], err
}
