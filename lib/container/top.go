package container

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/state"
)

// TopHeader names the columns of [Engine.Top].
func TopHeader() []string {
	return []string{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}
}

// Top returns the processes of a container, one row each, in the columns of `ps -ef`. Pids are the host's.
func (e *Engine) Top(c *state.Container) ([][]string, error) {
	pids, err := allProcs(c)
	if err != nil {
		return nil, err
	}
	rows := [][]string{}
	for _, pid := range pids {
		if p, err := readProcess(pid); err == nil { // fails if the process has just ended
			rows = append(rows, p.cells())
		}
	}
	return rows, nil
}

func allProcs(c *state.Container) ([]int, error) {
	g, err := group(c)
	if err != nil {
		return nil, err
	}
	return g.AllProcs()
}

// TopByPS runs the host's ps with options, and returns its header and the lines of the container's processes.
func (e *Engine) TopByPS(ctx context.Context, c *state.Container, options []string) ([]string, error) {
	pids, err := allProcs(c)
	if err != nil {
		return nil, err
	}
	return spawn.PS(ctx, pids, options)
}

// process is what /proc says of a process.
type process struct {
	uid       uint32
	pid, ppid int
	tty       uint64
	started   time.Time
	cpu       time.Duration
	command   string
}

// ticksPerSecond is the unit of times in /proc, the same on all architectures of Go (proc_pid_stat(5)).
const ticksPerSecond = 100

func readProcess(pid int) (process, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return process{}, err
	}
	info, err := os.Stat(dir) // its owner is the process's user
	if err != nil {
		return process{}, err
	}
	// "pid (name) state ppid …": the name may hold any character.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[end+1:]))
	if open < 0 || end < open || len(fields) < 20 {
		return process{}, fmt.Errorf("parse %s/stat: unknown form", dir)
	}
	number := func(i int) uint64 { n, _ := strconv.ParseUint(fields[i], 10, 64); return n }
	p := process{
		pid: pid, ppid: int(number(1)), tty: number(4), command: "[" + string(stat[open+1:end]) + "]",
		cpu:     time.Duration(number(11)+number(12)) * time.Second / ticksPerSecond,
		started: bootTime().Add(time.Duration(number(19)) * time.Second / ticksPerSecond),
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		p.uid = st.Uid
	}
	if words, err := os.ReadFile(dir + "/cmdline"); err == nil && len(words) > 0 {
		p.command = strings.TrimSpace(string(bytes.ReplaceAll(words, []byte{0}, []byte{' '})))
	}
	return p, nil
}

// bootTime returns when the kernel started (/proc/stat, btime).
func bootTime() time.Time {
	data, _ := os.ReadFile("/proc/stat")
	_, rest, _ := strings.Cut(string(data), "\nbtime ")
	text, _, _ := strings.Cut(rest, "\n")
	seconds, _ := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0)
}

// cells returns the row in the columns of `ps -ef`.
func (p process) cells() []string {
	name := strconv.FormatUint(uint64(p.uid), 10)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	tty := "?"
	if major, minor := p.tty>>8&0xfff, p.tty&0xff|p.tty>>12&0xfff00; major == 136 {
		tty = "pts/" + strconv.FormatUint(minor, 10)
	}
	age := time.Since(p.started)
	form := "15:04"
	if age > 24*time.Hour {
		form = "Jan02"
	}
	load := 100 * p.cpu / max(age, time.Second)
	total := int(p.cpu.Seconds())
	return []string{
		name, strconv.Itoa(p.pid), strconv.Itoa(p.ppid), strconv.Itoa(int(min(load, 99))), p.started.Local().Format(form), tty,
		fmt.Sprintf("%02d:%02d:%02d", total/3600, total/60%60, total%60), p.command,
	}
}
