package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/state"
)

// Top prints the processes of a container as `ps -ef` does, or, with options of ps(1), as the host's own ps does.
// Pids are the host's.
func (e *Engine) Top(ctx context.Context, c *state.Container, options []string, out io.Writer) error {
	g, err := group(c)
	if err != nil {
		return err
	}
	pids, err := g.AllProcs()
	if err != nil {
		return err
	}
	if len(options) > 0 {
		return hostPS(ctx, options, pids, out)
	}
	rows := [][]string{}
	for _, pid := range pids {
		if p, err := readProcess(pid); err == nil { // others have just ended
			rows = append(rows, p.cells())
		}
	}
	return cli.Table(out, []string{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}, rows)
}

// hostPS runs ps and prints the lines of the container's processes.
func hostPS(ctx context.Context, options []string, pids []int, out io.Writer) error {
	var errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, "ps", options...)
	cmd.Stderr = &errOut
	text, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("options are for ps, which is not installed here: leave them out, or apt-get install procps")
	}
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(errOut.String()), "\n")
		return fmt.Errorf("ps %s: %w: %s", strings.Join(options, " "), err, first)
	}
	header, lines, _ := strings.Cut(string(text), "\n")
	column := slices.Index(strings.Fields(header), "PID")
	if column < 0 {
		return fmt.Errorf("ps %s: no column PID, by which processes are told apart", strings.Join(options, " "))
	}
	out = cli.Screen(out) // a process calls itself what it likes
	fmt.Fprintln(out, header)
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		if pid, err := strconv.Atoi(fields[column]); err == nil && slices.Contains(pids, pid) {
			if _, err := io.WriteString(out, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// process is what /proc says of one.
type process struct {
	uid       uint32
	pid, ppid int
	tty       uint64
	started   time.Time
	cpu       time.Duration
	command   string
}

// ticksPerSecond is how /proc counts time on all architectures that Go knows (proc_pid_stat(5)).
const ticksPerSecond = 100

func readProcess(pid int) (process, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return process{}, err
	}
	info, err := os.Stat(dir) // of its owner
	if err != nil {
		return process{}, err
	}
	// "pid (name) state ppid …": the name may hold anything.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[end+1:]))
	if open < 0 || end < open || len(fields) < 20 {
		return process{}, fmt.Errorf("%s/stat: not of the form that we know", dir)
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

// bootTime is when the kernel started (/proc/stat, btime).
func bootTime() time.Time {
	data, _ := os.ReadFile("/proc/stat")
	_, rest, _ := strings.Cut(string(data), "\nbtime ")
	text, _, _ := strings.Cut(rest, "\n")
	seconds, _ := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0)
}

// cells are the row as `ps -ef` has it.
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
