package cgroup

import (
	"math"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (p *plan) cpuset(c *specs.LinuxCPU) {
	if c.Cpus != "" {
		p.set("cpuset", "--cpuset-cpus", "cpuset.cpus", c.Cpus)
	}
	if c.Mems != "" {
		p.set("cpuset", "--cpuset-mems", "cpuset.mems", c.Mems)
	}
}

func (p *plan) cpu(c *specs.LinuxCPU) {
	if given(c.Shares) {
		p.setByVersion("cpu", "--cpu-shares", "cpu.shares", number(*c.Shares), "cpu.weight", number(weight(*c.Shares)))
	}
	if p.version("cpu") == 2 {
		p.cpuMax(c)
	} else {
		p.cfsV1(c)
	}
	if c.Burst != nil {
		p.setByVersion("cpu", "linux.resources.cpu.burst", "cpu.cfs_burst_us", number(*c.Burst), "cpu.max.burst", number(*c.Burst))
	}
	if c.Idle != nil {
		p.set("cpu", "linux.resources.cpu.idle", "cpu.idle", number(*c.Idle))
	}
}

// given reports whether a field is set. Docker writes 0 for an option that was not given.
func given[T int64 | uint64](field *T) bool { return field != nil && *field != 0 }

func (p *plan) cfsV1(c *specs.LinuxCPU) {
	if given(c.Period) {
		p.set("cpu", "--cpu-cfs-period", "cpu.cfs_period_us", number(*c.Period))
	}
	if given(c.Quota) {
		p.set("cpu", "--cpu-cfs-quota", "cpu.cfs_quota_us", number(*c.Quota))
	}
}

// cpuMax plans cpu.max, which on v2 holds quota and period. A value that was not given keeps its present
// setting.
func (p *plan) cpuMax(c *specs.LinuxCPU) {
	period, quota := given(c.Period), given(c.Quota)
	if !period && !quota {
		return
	}
	flag, max := "--cpu-cfs-quota", "max"
	if old, _, ok := strings.Cut(p.current(p.trees.find("cpu"), "cpu.max"), " "); ok {
		max = old
	}
	if quota {
		max = orMax(*c.Quota, 1)
	}
	if period {
		max += " " + number(*c.Period)
		if !quota {
			flag = "--cpu-cfs-period"
		}
	}
	p.set("cpu", flag, "cpu.max", max)
}

func (p *plan) realtime(c *specs.LinuxCPU) {
	period, runtime := given(c.RealtimePeriod), given(c.RealtimeRuntime)
	if (period || runtime) && p.version("cpu") == 2 {
		flag := "--cpu-rt-runtime"
		if !runtime {
			flag = "--cpu-rt-period"
		}
		p.refuse(flag, "cgroup v2 has no realtime budget", "leave it out, or boot with cgroup v1")
		return
	}
	if period {
		p.set("cpu", "--cpu-rt-period", "cpu.rt_period_us", number(*c.RealtimePeriod))
	}
	if runtime {
		p.set("cpu", "--cpu-rt-runtime", rtRuntime, number(*c.RealtimeRuntime))
	}
}

// weight converts v1's cpu.shares (2 to 262144, default 1024) to v2's cpu.weight (1 to 10000, default
// 100). It maps minimum, default and maximum onto each other by a parabola over the logarithms, as runc
// and crun do.
func weight(shares uint64) uint64 {
	switch {
	case shares <= minShares:
		return 1
	case shares >= maxShares:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// ratio returns runtime/period of a realtime budget as the kernel's fixed-point number, in units of 2^-20.
func ratio(runtime, period string) int64 {
	r, err1 := strconv.ParseInt(runtime, 10, 64)
	p, err2 := strconv.ParseInt(period, 10, 64)
	if err1 != nil || err2 != nil || r < 0 || p <= 0 {
		return 0
	}
	return r << 20 / p
}
