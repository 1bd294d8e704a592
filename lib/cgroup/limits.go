package cgroup

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Limits are the options that limit a container. A nil or empty option was not given and leaves the
// kernel's default, whatever default the help shows. The tag docker holds the names in docker and runc.
type Limits struct {
	CPUPeriod    *uint64 `name:"cpu-cfs-period" docker:"cpu-period" help:"Limit CPU CFS (Completely Fair Scheduler) period in us (default: 200000)"`
	CPUQuota     *int64  `name:"cpu-cfs-quota" docker:"cpu-quota" help:"Limit CPU CFS (Completely Fair Scheduler) quota in us (default: 200000)"`
	CPURTPeriod  *uint64 `name:"cpu-rt-period" help:"Limit CPU Real-Time Scheduler period in us (default: 1000000)"`
	CPURTRuntime *int64  `name:"cpu-rt-runtime" help:"Limit CPU Real-Time Scheduler runtime in us (default: 950000)"`
	CPUShares    *uint64 `name:"cpu-shares" docker:"cpu-share" short:"c" help:"CPU shares (relative weight) (default: 1024)"`
	CpusetCPUs   string  `name:"cpuset-cpus" help:"CPUs in which to allow execution (0-3, 0,1) (default: \"0-7\")"`
	CpusetMems   string  `name:"cpuset-mems" help:"MEMs in which to allow execution (0-3, 0,1) (default: \"0-0\")"`
	Memory       *Size   `name:"memory-limit" docker:"memory,m" help:"Memory limit in bytes; -1 indicates unlimited (default: -1)"`
	MemorySoft   *Size   `name:"memory-soft-limit" docker:"memory-reservation" help:"Memory soft limit in bytes; -1 indicates unlimited (default: -1)"`
	MemorySwap   *Size   `name:"memory-swap-limit" docker:"memory-swap" help:"Swap limit equals to memory plus swap; -1 indicates unlimited (default: -1)"`
	Swappiness   *uint64 `name:"memory-swappiness" help:"Tune container memory swappiness (range [0, 100]) (default: 60)"`
	NoOOMKill    bool    `name:"oom-kill-disable" help:"Disable oom killer, i.e., process will be hung if oom, NOT killed"`
	Kernel       *Size   `name:"kernel-memory-limit" docker:"kernel-memory" help:"Kernel memory limit in bytes; -1 indicates unlimited (default: -1)"`
	KernelTCP    *Size   `name:"kernel-memory-tcp-limit" help:"Kernel memory tcp limit in bytes; -1 indicates unlimited (default: -1)"`
	PidsMax      *int64  `name:"pids-max" docker:"pids-limit" help:"Limit pids number in container; 0 indicates unlimited (default: 0)"`

	CPUs             *CPUs               `name:"cpus" help:"Limit the number of CPUs, e.g. 1.5: a quota of 150000 us in a period of 100000"`
	Weight           *uint16             `name:"blkio-weight" help:"Block IO weight (range [10, 1000])"`
	LeafWeight       *uint16             `name:"blkio-leaf-weight" help:"Block IO weight against the groups below; kernels before 5.0 only"`
	WeightDevice     []PerDevice         `name:"blkio-weight-device" sep:"none" help:"Block IO weight on a device, e.g. /dev/sda:500"`
	LeafWeightDevice []PerDevice         `name:"blkio-leaf-weight-device" sep:"none" help:"The same against the groups below; kernels before 5.0 only"`
	ReadBps          []PerDevice         `name:"device-read-bps" sep:"none" help:"Limit bytes read from a device in a second, e.g. /dev/sda:10m"`
	WriteBps         []PerDevice         `name:"device-write-bps" sep:"none" help:"Limit bytes written to a device in a second, e.g. /dev/sda:10m"`
	ReadIOPS         []PerDevice         `name:"device-read-iops" sep:"none" help:"Limit reads from a device in a second, e.g. /dev/sda:1000"`
	WriteIOPS        []PerDevice         `name:"device-write-iops" sep:"none" help:"Limit writes to a device in a second, e.g. /dev/sda:1000"`
	Hugepages        []Hugepages         `name:"hugepages-limit" sep:"none" help:"Limit huge pages of one size in bytes, e.g. 2MB=1g"`
	NetClass         *ClassID            `name:"net-cls-classid" help:"Class of the packets for tc(8), e.g. 10:1 or 0x100001"`
	NetPriority      []InterfacePriority `name:"net-prio-ifpriomap" sep:"none" help:"Priority of the packets on a link of the host, e.g. eth0=5"`
}

// Resources returns the limits as linux.resources of an OCI document, with [DefaultDevices].
func (l Limits) Resources() (*specs.LinuxResources, error) {
	r := &specs.LinuxResources{Devices: DefaultDevices()}
	return r, l.merge(r)
}

// merge sets the given limits in r and leaves the others unchanged.
func (l Limits) merge(r *specs.LinuxResources) error {
	if cpu := l.cpu(r.CPU); cpu != (specs.LinuxCPU{}) {
		r.CPU = &cpu
	}
	if memory := l.memory(r.Memory); memory != (specs.LinuxMemory{}) {
		r.Memory = &memory
	}
	if l.PidsMax != nil {
		n := *l.PidsMax
		if n == 0 {
			n = -1 // some runtimes read 0 as no process at all; -1 is no limit everywhere
		}
		r.Pids = &specs.LinuxPids{Limit: &n}
	}
	l.mergeNetwork(r)
	for _, h := range l.Hugepages {
		r.HugepageLimits = replace(r.HugepageLimits, specs.LinuxHugepageLimit(h),
			func(old specs.LinuxHugepageLimit) bool { return old.Pagesize == h.Pagesize })
	}
	return l.mergeIO(r)
}

func (l Limits) cpu(old *specs.LinuxCPU) specs.LinuxCPU {
	var cpu specs.LinuxCPU
	if old != nil {
		cpu = *old
	}
	if l.CPUs != nil {
		period, quota := l.CPUs.times()
		cpu.Period, cpu.Quota = &period, &quota
	}
	put(&cpu.Period, l.CPUPeriod)
	put(&cpu.Quota, l.CPUQuota)
	put(&cpu.RealtimePeriod, l.CPURTPeriod)
	put(&cpu.RealtimeRuntime, l.CPURTRuntime)
	put(&cpu.Shares, l.CPUShares)
	if l.CpusetCPUs != "" {
		cpu.Cpus = l.CpusetCPUs
	}
	if l.CpusetMems != "" {
		cpu.Mems = l.CpusetMems
	}
	return cpu
}

func (l Limits) memory(old *specs.LinuxMemory) specs.LinuxMemory {
	var m specs.LinuxMemory
	if old != nil {
		m = *old
	}
	put(&m.Limit, (*int64)(l.Memory))
	put(&m.Reservation, (*int64)(l.MemorySoft))
	put(&m.Swap, (*int64)(l.MemorySwap))
	put(&m.Kernel, (*int64)(l.Kernel))
	put(&m.KernelTCP, (*int64)(l.KernelTCP))
	put(&m.Swappiness, l.Swappiness)
	if l.NoOOMKill {
		m.DisableOOMKiller = &l.NoOOMKill
	}
	return m
}

// put sets a field of the document if its option was given.
func put[T any](field **T, option *T) {
	if option != nil {
		*field = option
	}
}
