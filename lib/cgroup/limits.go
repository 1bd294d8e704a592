package cgroup

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Limits are the options that limit a container. One that is nil or empty was not given and leaves
// the kernel's default alone, whatever number the help shows.
type Limits struct {
	CPUPeriod    *uint64 `name:"cpu-cfs-period" help:"Limit CPU CFS (Completely Fair Scheduler) period in us (default: 200000)"`
	CPUQuota     *int64  `name:"cpu-cfs-quota" help:"Limit CPU CFS (Completely Fair Scheduler) quota in us (default: 200000)"`
	CPURTPeriod  *uint64 `name:"cpu-rt-period" help:"Limit CPU Real-Time Scheduler period in us (default: 1000000)"`
	CPURTRuntime *int64  `name:"cpu-rt-runtime" help:"Limit CPU Real-Time Scheduler runtime in us (default: 950000)"`
	CPUShares    *uint64 `name:"cpu-shares" short:"c" help:"CPU shares (relative weight) (default: 1024)"`
	CpusetCPUs   string  `name:"cpuset-cpus" help:"CPUs in which to allow execution (0-3, 0,1) (default: \"0-7\")"`
	CpusetMems   string  `name:"cpuset-mems" help:"MEMs in which to allow execution (0-3, 0,1) (default: \"0-0\")"`
	Memory       *Size   `name:"memory-limit" help:"Memory limit in bytes; -1 indicates unlimited (default: -1)"`
	MemorySoft   *Size   `name:"memory-soft-limit" help:"Memory soft limit in bytes; -1 indicates unlimited (default: -1)"`
	MemorySwap   *Size   `name:"memory-swap-limit" help:"Swap limit equals to memory plus swap; -1 indicates unlimited (default: -1)"`
	Swappiness   *uint64 `name:"memory-swappiness" help:"Tune container memory swappiness (range [0, 100]) (default: 60)"`
	NoOOMKill    bool    `name:"oom-kill-disable" help:"Disable oom killer, i.e., process will be hung if oom, NOT killed"`
	Kernel       *Size   `name:"kernel-memory-limit" help:"Kernel memory limit in bytes; -1 indicates unlimited (default: -1)"`
	KernelTCP    *Size   `name:"kernel-memory-tcp-limit" help:"Kernel memory tcp limit in bytes; -1 indicates unlimited (default: -1)"`
	PidsMax      *int64  `name:"pids-max" help:"Limit pids number in container; 0 indicates unlimited (default: 0)"`
}

// The bounds of the kernel (kernel/sched/core.c: cfs period and quota of 1 ms to 1 s, shares), and
// of what a program needs to be started at all.
const (
	minPeriod, maxPeriod = 1000, 1000000
	minShares, maxShares = 2, 262144
	minMemory            = 6 << 20
	defaultRTPeriod      = 1000000
)

// Check returns what is wrong with the limits: values out of range, values that contradict each
// other, cpus and memory nodes that the host lacks, and what the kernel cannot do. Nothing is made.
func (l Limits) Check() error {
	if err := l.checkValues(); err != nil {
		return err
	}
	r, err := l.Resources()
	if err != nil {
		return err
	}
	trees, err := hostTrees()
	if err != nil {
		return err
	}
	_, err = makePlan(trees, r, nil)
	return err
}

// checkValues is Check as far as the kernel need not be asked.
func (l Limits) checkValues() error {
	return errors.Join(l.checkCPU(), l.checkSets(), l.checkMemory())
}

func (l Limits) checkCPU() error {
	var errs []error
	if p := l.CPUPeriod; p != nil && (*p < minPeriod || *p > maxPeriod) {
		errs = append(errs, fmt.Errorf("--cpu-cfs-period %d: want %d to %d us", *p, minPeriod, maxPeriod))
	}
	if q := l.CPUQuota; q != nil && *q != -1 && *q < minPeriod {
		errs = append(errs, fmt.Errorf("--cpu-cfs-quota %d: want at least %d us, or -1 for no limit", *q, minPeriod))
	}
	if p := l.CPURTPeriod; p != nil && *p == 0 {
		errs = append(errs, errors.New("--cpu-rt-period 0: want at least 1 us"))
	}
	period := uint64(defaultRTPeriod)
	if l.CPURTPeriod != nil {
		period = *l.CPURTPeriod
	}
	if r := l.CPURTRuntime; r != nil && (*r < 0 || uint64(*r) > period) {
		errs = append(errs, fmt.Errorf("--cpu-rt-runtime %d: want 0 to the period, %d us", *r, period))
	}
	if s := l.CPUShares; s != nil && (*s < minShares || *s > maxShares) {
		errs = append(errs, fmt.Errorf("--cpu-shares %d: want %d to %d", *s, minShares, maxShares))
	}
	return errors.Join(errs...)
}

func (l Limits) checkSets() error {
	return errors.Join(
		checkSet("--cpuset-cpus", "cpu", l.CpusetCPUs),
		checkSet("--cpuset-mems", "memory node", l.CpusetMems))
}

func (l Limits) checkMemory() error {
	var errs []error
	for _, f := range []struct {
		flag string
		size *Size
		min  Size
	}{
		{"--memory-limit", l.Memory, minMemory},
		{"--memory-soft-limit", l.MemorySoft, 1},
		{"--memory-swap-limit", l.MemorySwap, 1},
		{"--kernel-memory-limit", l.Kernel, 1},
		{"--kernel-memory-tcp-limit", l.KernelTCP, 1},
	} {
		if f.size != nil && *f.size != Unlimited && *f.size < f.min {
			errs = append(errs, fmt.Errorf("%s %d: want at least %d bytes, or -1 for no limit", f.flag, *f.size, f.min))
		}
	}
	if limited(l.MemorySwap) {
		switch {
		case !limited(l.Memory):
			errs = append(errs, errors.New("--memory-swap-limit: is memory plus swap, and needs --memory-limit too"))
		case *l.MemorySwap < *l.Memory:
			errs = append(errs, fmt.Errorf("--memory-swap-limit %d: is memory plus swap, and less than --memory-limit %d",
				*l.MemorySwap, *l.Memory))
		}
	}
	if s := l.Swappiness; s != nil && *s > 100 {
		errs = append(errs, fmt.Errorf("--memory-swappiness %d: want 0 to 100", *s))
	}
	if p := l.PidsMax; p != nil && *p < -1 {
		errs = append(errs, fmt.Errorf("--pids-max %d: want a number of processes, or 0 for no limit", *p))
	}
	return errors.Join(errs...)
}

func limited(s *Size) bool { return s != nil && *s != Unlimited }

// Resources returns the limits as linux.resources of an OCI document, with the device rules that
// every container has.
func (l Limits) Resources() (*specs.LinuxResources, error) {
	r := &specs.LinuxResources{Devices: DefaultDevices()}
	l.merge(r)
	return r, nil
}

// merge puts the limits that were given into r and leaves the others as they stand there.
func (l Limits) merge(r *specs.LinuxResources) {
	if cpu := l.cpu(r.CPU); cpu != (specs.LinuxCPU{}) {
		r.CPU = &cpu
	}
	if memory := l.memory(r.Memory); memory != (specs.LinuxMemory{}) {
		r.Memory = &memory
	}
	if l.PidsMax != nil {
		n := *l.PidsMax
		if n == 0 {
			n = -1 // 0 is no process at all to some runtimes, -1 no limit to all
		}
		r.Pids = &specs.LinuxPids{Limit: &n}
	}
}

func (l Limits) cpu(old *specs.LinuxCPU) specs.LinuxCPU {
	var cpu specs.LinuxCPU
	if old != nil {
		cpu = *old
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

// put sets a field of the document where its option was given.
func put[T any](field **T, option *T) {
	if option != nil {
		*field = option
	}
}
