package cgroup

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (p *plan) memory(asked *specs.LinuxMemory) {
	m := *asked
	for _, limit := range []**int64{&m.Limit, &m.Swap, &m.Reservation, &m.Kernel, &m.KernelTCP} {
		if *limit != nil && **limit == 0 {
			*limit = nil // docker writes 0 for an option that was not given
		}
	}
	if p.version("memory") == 2 {
		p.memoryV2(&m)
	} else {
		p.memoryV1(&m)
	}
}

func (p *plan) memoryV1(m *specs.LinuxMemory) {
	if m.Limit != nil && *m.Limit < 0 && m.Swap == nil {
		m.Swap = m.Limit // unlimited memory exceeds any limit of memory plus swap
	}
	limit := func() {
		if m.Limit != nil {
			p.set("memory", "--memory-limit", "memory.limit_in_bytes", number(*m.Limit))
		}
	}
	swap := func() {
		if m.Swap != nil {
			p.set("memory", "--memory-swap-limit", memsw, number(*m.Swap))
		}
	}
	above := p.aboveSwap(m)
	switch {
	case above && m.Swap == nil:
		p.refuse("--memory-limit", "exceeds the present limit of memory plus swap", "give --memory-swap-limit too")
	case above:
		swap()
		limit()
	default:
		limit()
		swap()
	}
	if m.Reservation != nil {
		p.set("memory", "--memory-soft-limit", "memory.soft_limit_in_bytes", number(*m.Reservation))
	}
	if m.Kernel != nil {
		p.set("memory", "--kernel-memory-limit", "memory.kmem.limit_in_bytes", number(*m.Kernel))
	}
	if m.KernelTCP != nil {
		p.set("memory", "--kernel-memory-tcp-limit", "memory.kmem.tcp.limit_in_bytes", number(*m.KernelTCP))
	}
	if m.Swappiness != nil {
		p.set("memory", "--memory-swappiness", "memory.swappiness", number(*m.Swappiness))
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		p.set("memory", "--oom-kill-disable", "memory.oom_control", "1")
	}
}

const memsw = "memory.memsw.limit_in_bytes"

// aboveSwap reports whether the new memory limit exceeds the present limit of memory plus swap. The
// kernel refuses that, so the limits must be written in the other order.
func (p *plan) aboveSwap(m *specs.LinuxMemory) bool {
	t := p.trees.find("memory")
	if t == nil || m.Limit == nil {
		return false
	}
	present, err := strconv.ParseInt(p.current(t, memsw), 10, 64)
	if err != nil || present >= v1NoLimit {
		return false
	}
	return *m.Limit < 0 || *m.Limit > present
}

func (p *plan) memoryV2(m *specs.LinuxMemory) {
	if m.Limit != nil {
		p.set("memory", "--memory-limit", "memory.max", orMax(*m.Limit, 0))
	}
	if m.Swap != nil {
		p.swapV2(m)
	}
	if m.Reservation != nil {
		low := max(*m.Reservation, 0) // no soft limit: "max" would protect all memory
		p.set("memory", "--memory-soft-limit", "memory.low", number(low))
	}
	const v2 = "cgroup v2 does not support it"
	const counted = "leave it out, --memory-limit includes kernel memory"
	if m.Kernel != nil && *m.Kernel >= 0 {
		p.refuse("--kernel-memory-limit", v2, counted)
	}
	if m.KernelTCP != nil && *m.KernelTCP >= 0 {
		p.refuse("--kernel-memory-tcp-limit", v2, counted)
	}
	if m.Swappiness != nil {
		p.refuse("--memory-swappiness", v2, "leave it out, or set vm.swappiness for the host")
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		p.refuse("--oom-kill-disable", v2, "leave it out")
	}
}

// swapV2 plans memory.swap.max, which limits swap alone. The document's limit is memory plus swap.
func (p *plan) swapV2(m *specs.LinuxMemory) {
	const flag = "--memory-swap-limit"
	if *m.Swap < 0 {
		p.set("memory", flag, "memory.swap.max", "max")
		return
	}
	limit, known := int64(0), m.Limit != nil && *m.Limit >= 0
	if known {
		limit = *m.Limit
	} else if t := p.trees.find("memory"); t != nil && m.Limit == nil {
		n, err := strconv.ParseInt(p.current(t, "memory.max"), 10, 64)
		limit, known = n, err == nil
	}
	switch {
	case !known:
		p.refuse(flag, "limits memory plus swap", "give --memory-limit too")
	case *m.Swap < limit:
		p.refuse(flag, "limits memory plus swap, but is less than the memory limit", "give at least "+number(limit))
	default:
		p.set("memory", flag, "memory.swap.max", number(*m.Swap-limit))
	}
}
