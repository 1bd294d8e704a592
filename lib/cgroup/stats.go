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

// Stats is the resource usage of a cgroup, in the same units on v1 and v2. A part is nil if its controller is missing.
type Stats struct {
	Path   string      `json:"path"`
	Frozen bool        `json:"frozen"`
	CPU    *CPUStats   `json:"cpu,omitempty"`
	Memory *MemStats   `json:"memory,omitempty"`
	Pids   *PidsStats  `json:"pids,omitempty"`
	IO     *BlockStats `json:"io,omitempty"`
}

// CPUStats are times in nanoseconds since the cgroup was created, and the number of its periods.
type CPUStats struct {
	Usage            uint64 `json:"usage"`
	User             uint64 `json:"user"`
	System           uint64 `json:"system"`
	Periods          uint64 `json:"periods"`
	ThrottledPeriods uint64 `json:"throttledPeriods"`
	Throttled        uint64 `json:"throttled"`
}

// MemStats are in bytes. Limit is nil if there is none.
type MemStats struct {
	Usage    uint64  `json:"usage"`
	Cache    uint64  `json:"cache"`    // part of Usage: page cache
	Inactive uint64  `json:"inactive"` // part of Cache: inactive pages, reclaimed first
	Peak     uint64  `json:"peak,omitempty"`
	Swap     uint64  `json:"swap"`
	Limit    *uint64 `json:"limit,omitempty"`
	OOMKills uint64  `json:"oomKills"`
}

// PidsStats counts processes and threads. Limit is nil if there is none.
type PidsStats struct {
	Current uint64  `json:"current"`
	Limit   *uint64 `json:"limit,omitempty"`
}

// BlockStats are totals of bytes and operations over all block devices.
type BlockStats struct {
	ReadBytes  uint64 `json:"readBytes"`
	WriteBytes uint64 `json:"writeBytes"`
	Reads      uint64 `json:"reads"`
	Writes     uint64 `json:"writes"`
}

// Stats returns the current usage of the cgroup.
func (g *Group) Stats() (Stats, error) {
	if !g.Exists() {
		return Stats{}, fmt.Errorf("read statistics of cgroup %s: %w", g.Path, fs.ErrNotExist)
	}
	frozen, err := g.Frozen()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Stats{}, fmt.Errorf("read statistics of cgroup %s: %w", g.Path, err)
	}
	return Stats{Path: g.Path, Frozen: frozen, CPU: g.cpuStats(), Memory: g.memStats(), Pids: g.pidsStats(), IO: g.ioStats()}, nil
}

// OOMKills returns how many processes of the cgroup the OOM killer has killed.
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

// files returns the cgroup's directory in the controller's hierarchy and the cgroup version, 0 if the
// controller is not mounted.
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

// v1NoLimit is a lower bound of the number with which v1 shows no memory limit: the highest page, whatever its size.
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

// files is a directory with files of a cgroup. A missing file, or one in an unknown format, reads as
// zero: kernels differ in what they count.
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

// limit reads a number; "max" is nil.
func (f files) limit(name string) *uint64 {
	n, err := strconv.ParseUint(f.text(name), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// table reads a file of lines with a key and a number.
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

// HostMemory returns the memory of this machine in bytes, 0 if unknown.
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
