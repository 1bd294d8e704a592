package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Stats is what a group uses, in the same units on every kernel. What is not counted is missing.
type Stats struct {
	Path   string      `json:"path"`
	Frozen bool        `json:"frozen"`
	CPU    *CPUStats   `json:"cpu,omitempty"`
	Memory *MemStats   `json:"memory,omitempty"`
	Pids   *PidsStats  `json:"pids,omitempty"`
	IO     *BlockStats `json:"io,omitempty"`
}

// CPUStats are times in nanoseconds since the group was made, and how often its quota ran out.
type CPUStats struct {
	Usage            uint64 `json:"usage"`
	User             uint64 `json:"user"`
	System           uint64 `json:"system"`
	Periods          uint64 `json:"periods"`
	ThrottledPeriods uint64 `json:"throttledPeriods"`
	Throttled        uint64 `json:"throttled"`
}

// MemStats are bytes. Limit is missing where there is none.
type MemStats struct {
	Usage    uint64  `json:"usage"`
	Cache    uint64  `json:"cache"`    // of Usage: pages of files
	Inactive uint64  `json:"inactive"` // of Cache: those that are given back first
	Peak     uint64  `json:"peak,omitempty"`
	Swap     uint64  `json:"swap"`
	Limit    *uint64 `json:"limit,omitempty"`
	OOMKills uint64  `json:"oomKills"`
}

// PidsStats counts processes and threads. Limit is missing where there is none.
type PidsStats struct {
	Current uint64  `json:"current"`
	Limit   *uint64 `json:"limit,omitempty"`
}

// BlockStats are bytes and operations on block devices.
type BlockStats struct {
	ReadBytes  uint64 `json:"readBytes"`
	WriteBytes uint64 `json:"writeBytes"`
	Reads      uint64 `json:"reads"`
	Writes     uint64 `json:"writes"`
}

// Stats returns what the group uses now.
func (g *Group) Stats() (Stats, error) {
	if !g.Exists() {
		return Stats{}, fmt.Errorf("show group %s: %w", g.Path, fs.ErrNotExist)
	}
	frozen, err := g.Frozen()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Stats{}, fmt.Errorf("show group %s: %w", g.Path, err)
	}
	return Stats{Path: g.Path, Frozen: frozen, CPU: g.cpuStats(), Memory: g.memStats(), Pids: g.pidsStats(), IO: g.ioStats()}, nil
}

// OOMKills returns how often the kernel killed a process of the group for want of memory.
func (g *Group) OOMKills() uint64 {
	f, version := g.files("memory")
	if version == 0 {
		return 0
	}
	return f.oomKills(version)
}

func (f files) oomKills(version int) uint64 {
	if version == 1 {
		return f.table("memory.oom_control")["oom_kill"]
	}
	return f.table("memory.events")["oom_kill"]
}

// files returns the reader of the controller's files, and the kind of cgroup: 0 where the group
// does not have the controller.
func (g *Group) files(controller string) (files, int) {
	t := g.trees.find(controller)
	if t == nil {
		return "", 0
	}
	return files(t.dir(g.Path)), t.version
}

func (g *Group) cpuStats() *CPUStats {
	f, version := g.files("cpu")
	switch version {
	case 1:
		stat := f.table("cpu.stat")
		s := CPUStats{Periods: stat["nr_periods"], ThrottledPeriods: stat["nr_throttled"], Throttled: stat["throttled_time"]}
		if f, version := g.files("cpuacct"); version == 1 {
			s.Usage, s.User, s.System = f.number("cpuacct.usage"), f.number("cpuacct.usage_user"), f.number("cpuacct.usage_sys")
		}
		return &s
	case 2:
		const us = 1000
		stat := f.table("cpu.stat")
		return &CPUStats{Usage: us * stat["usage_usec"], User: us * stat["user_usec"], System: us * stat["system_usec"],
			Periods: stat["nr_periods"], ThrottledPeriods: stat["nr_throttled"], Throttled: us * stat["throttled_usec"]}
	}
	return nil
}

// v1NoLimit is where v1's memory counters stop: the highest page, whatever its size.
const v1NoLimit = 1<<63 - 1<<16

func (g *Group) memStats() *MemStats {
	f, version := g.files("memory")
	switch version {
	case 1:
		stat := f.table("memory.stat")
		s := MemStats{Usage: f.number("memory.usage_in_bytes"), Cache: stat["cache"], Inactive: stat["total_inactive_file"],
			Peak: f.number("memory.max_usage_in_bytes"), Swap: stat["swap"],
			OOMKills: f.oomKills(version)}
		if limit := f.number("memory.limit_in_bytes"); limit < v1NoLimit {
			s.Limit = &limit
		}
		return &s
	case 2:
		stat := f.table("memory.stat")
		return &MemStats{Usage: f.number("memory.current"), Cache: stat["file"], Inactive: stat["inactive_file"],
			Peak: f.number("memory.peak"), Swap: f.number("memory.swap.current"), Limit: f.limit("memory.max"),
			OOMKills: f.oomKills(version)}
	}
	return nil
}

func (g *Group) pidsStats() *PidsStats {
	f, version := g.files("pids")
	if version == 0 {
		return nil
	}
	return &PidsStats{Current: f.number("pids.current"), Limit: f.limit("pids.max")}
}

func (g *Group) ioStats() *BlockStats {
	var s BlockStats
	if f, version := g.files("blkio"); version == 1 {
		s.ReadBytes, s.WriteBytes = f.operations("blkio.throttle.io_service_bytes_recursive")
		s.Reads, s.Writes = f.operations("blkio.throttle.io_serviced_recursive")
		return &s
	}
	f, version := g.files("io")
	if version != 2 {
		return nil
	}
	// Lines such as "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0".
	for _, word := range strings.Fields(f.text("io.stat")) {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.ParseUint(value, 10, 64)
		switch key {
		case "rbytes":
			s.ReadBytes += n
		case "wbytes":
			s.WriteBytes += n
		case "rios":
			s.Reads += n
		case "wios":
			s.Writes += n
		}
	}
	return &s
}

// files reads the files of one directory. A file that is missing, or of a form that we do not know,
// counts as zero: kernels differ in what they count.
type files string

func (f files) text(name string) string {
	text, err := readWord(filepath.Join(string(f), name))
	if err != nil {
		return ""
	}
	return text
}

func (f files) number(name string) uint64 {
	n, _ := strconv.ParseUint(f.text(name), 10, 64)
	return n
}

// limit reads a number, nil for "max".
func (f files) limit(name string) *uint64 {
	n, err := strconv.ParseUint(f.text(name), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// table reads lines of a key and a number.
func (f files) table(name string) map[string]uint64 {
	table := make(map[string]uint64)
	for line := range strings.Lines(f.text(name)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		table[key], _ = strconv.ParseUint(value, 10, 64)
	}
	return table
}

// operations adds up lines such as "8:0 Read 4096" over all devices.
func (f files) operations(name string) (read, written uint64) {
	for line := range strings.Lines(f.text(name)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		n, _ := strconv.ParseUint(fields[2], 10, 64)
		switch fields[1] {
		case "Read":
			read += n
		case "Write":
			written += n
		}
	}
	return read, written
}

// HostMemory returns the bytes of memory of this machine, 0 where it does not say.
func HostMemory() uint64 {
	data, _ := os.ReadFile("/proc/meminfo")
	first, _, _ := strings.Cut(string(data), "\n") // MemTotal:       24689096 kB
	fields := strings.Fields(first)
	if len(fields) < 2 {
		return 0
	}
	kib, _ := strconv.ParseUint(fields[1], 10, 64)
	return kib << 10
}
