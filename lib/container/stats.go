package container

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/state"
)

// StatsOptions are the options of `mydocker stats`.
type StatsOptions struct {
	All      bool `short:"a" help:"Containers that do not run, too"`
	NoStream bool `help:"Print the current usage once"`
}

// Usage is what a container uses, as stats shows it; its JSON is for programs.
type Usage struct {
	ID            string  `json:"id"`
	Name          string  `json:"name"`
	CPUPercent    float64 `json:"cpuPercent"`  // 100 is one cpu
	MemoryUsage   uint64  `json:"memoryUsage"` // bytes, without inactive file cache
	MemoryLimit   uint64  `json:"memoryLimit"` // bytes; the host's memory if there is no limit
	MemoryPercent float64 `json:"memoryPercent"`
	NetReceived   uint64  `json:"netReceived"` // bytes, on all links except lo
	NetSent       uint64  `json:"netSent"`
	BlockRead     uint64  `json:"blockRead"` // bytes
	BlockWritten  uint64  `json:"blockWritten"`
	PIDs          uint64  `json:"pids"` // processes and threads

	cpu uint64 // nanoseconds since the container started
}

// statsInterval is the time over which CPU usage is measured.
const statsInterval = time.Second

// Stats calls show with what the named containers use, every second until ctx ends, or once with NoStream. Without
// names it shows the containers that run.
func (e *Engine) Stats(ctx context.Context, names []string, o StatsOptions, show func([]Usage) error) error {
	before, err := e.usages(names, o.All)
	if err != nil {
		return err
	}
	measured := time.Now()
	for {
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
		setCPUPercent(before, usages, now.Sub(measured))
		if err := show(usages); err != nil || o.NoStream {
			return err
		}
		before, measured = usages, now
	}
}

// setCPUPercent sets the share of the time between two measurements for which each container had a CPU.
func setCPUPercent(before, after []Usage, wall time.Duration) {
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

// UsageHeader names the columns of [Usage.Cells].
func UsageHeader() []string {
	return []string{"CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"}
}

// Cells returns the row of the table.
func (u Usage) Cells() []string {
	return []string{
		u.ID, u.Name, percent(u.CPUPercent), units.BytesSize(float64(u.MemoryUsage)) + " / " + units.BytesSize(float64(u.MemoryLimit)),
		percent(u.MemoryPercent), amount(u.NetReceived) + " / " + amount(u.NetSent),
		amount(u.BlockRead) + " / " + amount(u.BlockWritten), strconv.FormatUint(u.PIDs, 10),
	}
}

func percent(f float64) string { return fmt.Sprintf("%.2f%%", f) }

func amount(bytes uint64) string { return units.HumanSizeWithPrecision(float64(bytes), 3) }

// usages measures the named containers, or all.
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
		if list, err = e.Dir.List(func(error) {}); err != nil { // ps reports those that cannot be read
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

// usageOf measures one container. One that does not run, or has just ended, uses nothing.
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
	if c.Net.Mode != "host" { // the host's links are not the container's
		u.NetReceived, u.NetSent = traffic(c.Run.Init.Number())
	}
	return u
}

// traffic returns the bytes received and sent on the links of a process's netns (/proc/pid/net/dev: name, colon, eight
// numbers for receive, eight for transmit).
func traffic(pid int) (received, sent uint64) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid)) // fails if the process has just ended
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
