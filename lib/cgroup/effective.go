package cgroup

import (
	"math"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// View returns the limits in force: the values in the kernel's files, and those of the document for limits that the
// kernel does not show.
func (g *Group) View(r *specs.LinuxResources) Resources {
	v := View(r)
	if f, version := g.files("cpu"); version != 0 && f.exist() {
		v.effectiveCPU(f, version)
	}
	if f, version := g.files("cpuset"); version != 0 && f.exist() {
		for file, shown := range map[string]*string{"cpuset.cpus": &v.CpusetCpus, "cpuset.mems": &v.CpusetMems} {
			if list := f.text(file); list != "" {
				*shown = list
			} else if list = f.text(file + ".effective"); list != "" {
				*shown = list
			}
		}
	}
	switch f, version := g.files("memory"); {
	case version == 1 && f.exist():
		v.effectiveMemoryV1(f)
	case version == 2 && f.exist():
		v.effectiveMemoryV2(f)
	}
	if f, version := g.files("pids"); version != 0 && f.exist() {
		v.PidsMax = 0
		if limit := f.limit("pids.max"); limit != nil {
			v.PidsMax = int64(*limit)
		}
	}
	if frozen, err := g.Frozen(); err == nil && frozen {
		v.Freezer = "FROZEN"
	}
	return v
}

// exist reports whether the cgroup has the controller's directory.
func (f files) exist() bool {
	_, err := os.Stat(string(f))
	return err == nil
}

func (v *Resources) effectiveCPU(f files, version int) {
	if version == 1 {
		takeNumber(&v.CpuCfsPeriod, f.text("cpu.cfs_period_us"))
		takeNumber(&v.CpuCfsQuota, f.text("cpu.cfs_quota_us"))
		takeNumber(&v.CpuShares, f.text("cpu.shares"))
		return
	}
	if quota, period, ok := strings.Cut(f.text("cpu.max"), " "); ok {
		v.CpuCfsQuota = -1
		takeNumber(&v.CpuCfsQuota, quota)
		takeNumber(&v.CpuCfsPeriod, period)
	}
	if w := f.number("cpu.weight"); w != 0 && w != weight(v.CpuShares) {
		v.CpuShares = shares(w)
	}
}

// shares is the inverse of weight: the fewest shares whose weight is w.
func shares(w uint64) uint64 {
	low, high := uint64(minShares), uint64(maxShares)
	for low < high {
		if middle := (low + high) / 2; weight(middle) < w {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

func (v *Resources) effectiveMemoryV1(f files) {
	takeBytes(&v.MemoryLimit, f.text("memory.limit_in_bytes"))
	takeBytes(&v.MemorySoftLimit, f.text("memory.soft_limit_in_bytes"))
	takeBytes(&v.MemorySwapLimit, f.text(memsw))
	takeBytes(&v.KernelMemoryLimit, f.text("memory.kmem.limit_in_bytes"))
	takeBytes(&v.KernelMemoryTCPLimit, f.text("memory.kmem.tcp.limit_in_bytes"))
	takeNumber(&v.MemorySwappiness, f.text("memory.swappiness"))
	v.OomKillDisable = f.table("memory.oom_control")["oom_kill_disable"] != 0
}

func (v *Resources) effectiveMemoryV2(f files) {
	takeBytes(&v.MemoryLimit, f.text("memory.max"))
	if low := f.text("memory.low"); low == "0" {
		v.MemorySoftLimit = -1
	} else {
		takeBytes(&v.MemorySoftLimit, low)
	}
	if swap := f.text("memory.swap.max"); swap == "max" {
		v.MemorySwapLimit = -1
	} else if n, err := strconv.ParseInt(swap, 10, 64); err == nil && v.MemoryLimit >= 0 {
		takeBytes(&v.MemorySwapLimit, number(n+v.MemoryLimit))
	}
	if host, err := readWord("/proc/sys/vm/swappiness"); err == nil { // v2 has no swappiness per cgroup
		takeNumber(&v.MemorySwappiness, host)
	}
}

// takeNumber sets a shown value if the text is a number.
func takeNumber[T int64 | uint64](shown *T, text string) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		*shown = T(n)
	}
}

// takeBytes sets a shown size; "max" and v1's highest number are no limit. If the kernel only rounded the shown value
// down to pages, it stays as the document has it.
func takeBytes(shown *int64, text string) {
	n, err := strconv.ParseInt(text, 10, 64)
	page := int64(os.Getpagesize())
	switch {
	case text == "max", err == nil && n >= v1NoLimit:
		*shown = -1
	case err == nil && (*shown < 0 || *shown > math.MaxInt64-page || n/page != *shown/page):
		*shown = n
	}
}
