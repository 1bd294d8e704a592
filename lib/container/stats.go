package container

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/state"
)

// StatsOptions are the options of `mydocker stats`.
type StatsOptions struct {
	All      bool   `short:"a" help:"Those that do not run, too"`
	NoStream bool   `help:"Print what is used now, and end"`
	Format   string `enum:",table,json" default:"" help:"table, or json (one object per line)"`
}

// Usage is what a container uses, as stats shows it; its JSON is for programs.
type Usage struct {
	ID            string  `json:"id"`
	Name          string  `json:"name"`
	CPUPercent    float64 `json:"cpuPercent"`  // 100 is one cpu
	MemoryUsage   uint64  `json:"memoryUsage"` // bytes, less what is given back first
	MemoryLimit   uint64  `json:"memoryLimit"` // the host's memory where there is none
	MemoryPercent float64 `json:"memoryPercent"`
	NetReceived   uint64  `json:"netReceived"` // bytes, on all links but lo
	NetSent       uint64  `json:"netSent"`
	BlockRead     uint64  `json:"blockRead"` // bytes
	BlockWritten  uint64  `json:"blockWritten"`
	PIDs          uint64  `json:"pids"` // processes and threads

	cpu uint64 // nanoseconds so far
}

// statsInterval is between two looks at the cpu time, and between two tables.
const statsInterval = time.Second

// Stats prints what containers use, again and again until ctx ends, or once. Without names it is all that run.
// fresh is called before each table but the first.
func (e *Engine) Stats(ctx context.Context, names []string, o StatsOptions, out io.Writer, fresh func()) error {
	before, err := e.usages(names, o.All)
	if err != nil {
		return err
	}
	looked := time.Now()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(statsInterval):
		}
		usages, err := e.usages(names, o.All)
		if err != nil {
			return err
		}
		now := time.Now()
		share(before, usages, now.Sub(looked))
		if !first {
			fresh()
		}
		if err := printUsages(out, o, usages); err != nil || o.NoStream {
			return err
		}
		before, looked = usages, now
	}
}

// share works out what part of the time each container had a cpu.
func share(before, after []Usage, wall time.Duration) {
	spent := make(map[string]uint64, len(before))
	for _, u := range before {
		spent[u.ID] = u.cpu
	}
	for i := range after {
		u := &after[i]
		if old, ok := spent[u.ID]; ok && u.cpu >= old {
			u.CPUPercent = 100 * float64(u.cpu-old) / float64(wall.Nanoseconds())
		}
	}
}

func printUsages(out io.Writer, o StatsOptions, usages []Usage) error {
	if o.Format == "json" {
		return cli.JSONLines(out, usages)
	}
	rows := make([][]string, len(usages))
	for i, u := range usages {
		rows[i] = []string{
			u.ID, u.Name, percent(u.CPUPercent), units.BytesSize(float64(u.MemoryUsage)) + " / " + units.BytesSize(float64(u.MemoryLimit)),
			percent(u.MemoryPercent), amount(u.NetReceived) + " / " + amount(u.NetSent),
			amount(u.BlockRead) + " / " + amount(u.BlockWritten), strconv.FormatUint(u.PIDs, 10),
		}
	}
	header := []string{"CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"}
	return cli.Table(out, header, rows)
}

func percent(f float64) string { return fmt.Sprintf("%.2f%%", f) }

func amount(bytes uint64) string { return units.HumanSizeWithPrecision(float64(bytes), 3) }

// usages looks at the containers that are named, or at all.
func (e *Engine) usages(names []string, all bool) ([]Usage, error) {
	var list []*state.Container
	for _, name := range names {
		c, err := e.Load(name)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(names) == 0 {
		var err error
		if list, err = e.Dir.List(func(error) {}); err != nil { // ps tells of those that cannot be read
			return nil, err
		}
	}
	usages := []Usage{}
	for _, c := range list {
		if c.Running || all || len(names) > 0 {
			usages = append(usages, usageOf(c))
		}
	}
	return usages, nil
}

// usageOf looks at one container. One that does not run, or has just ended, uses nothing.
func usageOf(c *state.Container) Usage {
	u := Usage{ID: c.ID, Name: c.Spec.Name()}
	g, err := group(c)
	if err != nil {
		return u
	}
	s, err := g.Stats()
	if err != nil {
		return u
	}
	if s.CPU != nil {
		u.cpu = s.CPU.Usage
	}
	if m := s.Memory; m != nil {
		u.MemoryUsage = m.Usage - min(m.Inactive, m.Usage)
		u.MemoryLimit = cgroup.HostMemory()
		if m.Limit != nil && *m.Limit < u.MemoryLimit {
			u.MemoryLimit = *m.Limit
		}
		u.MemoryPercent = 100 * float64(u.MemoryUsage) / float64(max(u.MemoryLimit, 1))
	}
	if s.Pids != nil {
		u.PIDs = s.Pids.Current
	}
	if s.IO != nil {
		u.BlockRead, u.BlockWritten = s.IO.ReadBytes, s.IO.WriteBytes
	}
	if c.Net.Mode != "host" { // what passes there is not the container's alone
		u.NetReceived, u.NetSent = traffic(c.Run.Init.PID)
	}
	return u
}

// traffic returns the bytes that came and went on the links of a process's network (/proc/pid/net/dev: a name, a
// colon, eight numbers of what came, eight of what went).
func traffic(pid int) (received, sent uint64) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid)) // it may just have ended
	for line := range strings.Lines(string(data)) {
		name, numbers, ok := strings.Cut(line, ":")
		fields := strings.Fields(numbers)
		if !ok || len(fields) < 9 || strings.TrimSpace(name) == "lo" {
			continue
		}
		in, err1 := strconv.ParseUint(fields[0], 10, 64)
		out, err2 := strconv.ParseUint(fields[8], 10, 64)
		if err1 == nil && err2 == nil {
			received, sent = received+in, sent+out
		}
	}
	return received, sent
}
