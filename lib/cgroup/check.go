package cgroup

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Bounds of the kernel (kernel/sched/core.c: cfs period and quota of 1 ms to 1 s, shares), and
// the least memory with which a program starts.
const (
	minPeriod, maxPeriod = 1000, 1000000
	minShares, maxShares = 2, 262144
	minMemory            = 6 << 20
	minWeight, maxWeight = 10, 1000
	defaultPeriod        = 100000
	defaultRTPeriod      = 1000000
)

// Check validates the limits: ranges, contradictions, cpus and memory nodes of the host, and
// support by the kernel. It changes nothing.
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
	_, err = makePlan(trees, thisHost(), r, nil)
	return err
}

// checkValues is the part of Check that does not depend on the cgroup hierarchies.
func (l Limits) checkValues() error {
	return errors.Join(l.checkCPU(), l.checkSets(), l.checkMemory(), l.checkIO(), l.checkHost())
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
			errs = append(errs, errors.New("--memory-swap-limit: limits memory plus swap, and needs --memory-limit"))
		case *l.MemorySwap < *l.Memory:
			errs = append(errs, fmt.Errorf("--memory-swap-limit %d: limits memory plus swap, but is less than --memory-limit %d",
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

func (l Limits) checkIO() error {
	var errs []error
	weight := func(flag string, w uint64) {
		if w < minWeight || w > maxWeight {
			errs = append(errs, fmt.Errorf("%s %d: want %d to %d", flag, w, minWeight, maxWeight))
		}
	}
	if l.Weight != nil {
		weight("--blkio-weight", uint64(*l.Weight))
	}
	if l.LeafWeight != nil {
		weight("--blkio-leaf-weight", uint64(*l.LeafWeight))
	}
	for _, w := range slices.Concat(l.WeightDevice, l.LeafWeightDevice) {
		weight("--blkio-weight-device "+w.Path, uint64(w.Value))
	}
	for _, list := range []struct {
		flag    string
		devices []PerDevice
	}{
		{"--blkio-weight-device", l.WeightDevice}, {"--blkio-leaf-weight-device", l.LeafWeightDevice},
		{"--device-read-bps", l.ReadBps}, {"--device-write-bps", l.WriteBps},
		{"--device-read-iops", l.ReadIOPS}, {"--device-write-iops", l.WriteIOPS},
	} {
		for _, d := range list.devices {
			if _, _, err := d.device(); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", list.flag, err))
			}
		}
	}
	return errors.Join(errs...)
}

// checkHost checks the limits that depend on cpus, page sizes and network links of the host.
func (l Limits) checkHost() error {
	var errs []error
	if l.CPUs != nil {
		errs = append(errs, l.checkCPUs())
	}
	for _, h := range l.Hugepages {
		errs = append(errs, h.check())
	}
	for _, p := range l.NetPriority {
		if _, err := os.Stat("/sys/class/net/" + p.Name); err != nil {
			errs = append(errs, fmt.Errorf("--net-prio-ifpriomap %s: this host has no such link", p.Name))
		}
	}
	return errors.Join(errs...)
}

// checkCPUs bounds --cpus as docker does: at least 0.01, at most the number of online cpus.
func (l Limits) checkCPUs() error {
	if l.CPUPeriod != nil || l.CPUQuota != nil {
		return errors.New("--cpus: conflicts with --cpu-cfs-quota and --cpu-cfs-period")
	}
	online, err := onlineCPUs()
	if err != nil {
		return nil // without the list there is no upper bound
	}
	cpus, err := parseSet(online)
	if max := CPUs(1000 * len(cpus)); err == nil && *l.CPUs != 0 && (*l.CPUs < 10 || *l.CPUs > max) {
		return fmt.Errorf("--cpus: want 0.01 to %d, the cpus of this host, or 0 for no limit", len(cpus))
	}
	return nil
}
