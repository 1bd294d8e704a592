package spawn

import (
	"fmt"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// setSchedule sets the I/O priority and the scheduler (runtime-spec, config.md "Linux Process"). The program may not
// have the rights to do so.
func (p *program) setSchedule(l *plan) {
	if io := p.process.IOPriority; io != nil {
		l.Doing("set process.ioPriority")
		classes := map[specs.IOPriorityClass]int{specs.IOPRIO_CLASS_RT: 1, specs.IOPRIO_CLASS_BE: 2, specs.IOPRIO_CLASS_IDLE: 3}
		class, ok := classes[io.Class]
		if !ok || io.Priority < 0 || io.Priority > 7 {
			l.Fail(fmt.Errorf("process.ioPriority: %.40q, %d: want IOPRIO_CLASS_RT, _BE or _IDLE and 0 to 7", io.Class, io.Priority))
		}
		l.SetIOPriority(class, io.Priority)
	}
	if s := p.process.Scheduler; s != nil {
		l.Doing("set process.scheduler")
		attr, err := schedulerOf(s)
		if err != nil {
			l.Fail(err)
			return
		}
		l.SetScheduler(attr)
	}
}

func schedulerOf(s *specs.Scheduler) (*linux.Scheduler, error) {
	policies := map[specs.LinuxSchedulerPolicy]uint32{
		specs.SchedOther: 0, specs.SchedFIFO: 1, specs.SchedRR: 2, specs.SchedBatch: 3, specs.SchedISO: 4, specs.SchedIdle: 5, specs.SchedDeadline: 6,
	}
	policy, ok := policies[s.Policy]
	if !ok {
		return nil, fmt.Errorf("process.scheduler.policy: %.40q: no such policy", s.Policy)
	}
	attr := &linux.Scheduler{
		Policy: policy, Nice: s.Nice, Priority: uint32(s.Priority), Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
	flags := map[specs.LinuxSchedulerFlag]uint64{
		specs.SchedFlagResetOnFork: 1, specs.SchedFlagReclaim: 2, specs.SchedFlagDLOverrun: 4, specs.SchedFlagKeepPolicy: 8,
		specs.SchedFlagKeepParams: 16, specs.SchedFlagUtilClampMin: 32, specs.SchedFlagUtilClampMax: 64,
	}
	for _, name := range s.Flags {
		bit, ok := flags[name]
		if !ok {
			return nil, fmt.Errorf("process.scheduler.flags: %.40q: no such flag", name)
		}
		attr.Flags |= bit
	}
	return attr, nil
}

// setDomain sets the personality and the memory policy of the document.
func (b *blueprint) setDomain(l *plan) {
	if p := b.spec.Linux.Personality; p != nil {
		l.Doing("set linux.personality")
		personas := map[specs.LinuxPersonalityDomain]uint64{specs.PerLinux: 0, specs.PerLinux32: 8}
		persona, ok := personas[p.Domain]
		if !ok || len(p.Flags) > 0 {
			l.Fail(fmt.Errorf("linux.personality: %.40q with flags %v: want LINUX or LINUX32, and no flags", p.Domain, p.Flags))
		}
		l.Personality(persona)
	}
	if m := b.spec.Linux.MemoryPolicy; m != nil {
		l.Doing("set linux.memoryPolicy")
		mode, nodes, err := memoryPolicyOf(m)
		if err != nil {
			l.Fail(err)
		}
		l.SetMemoryPolicy(mode, nodes)
	}
}

func memoryModes() map[specs.MemoryPolicyModeType]int {
	return map[specs.MemoryPolicyModeType]int{
		specs.MpolDefault: 0, specs.MpolPreferred: 1, specs.MpolBind: 2, specs.MpolInterleave: 3, specs.MpolLocal: 4,
		specs.MpolPreferredMany: 5, specs.MpolWeightedInterleave: 6,
	}
}

func memoryFlags() map[specs.MemoryPolicyFlagType]int {
	return map[specs.MemoryPolicyFlagType]int{
		specs.MpolFStaticNodes: 1 << 15, specs.MpolFRelativeNodes: 1 << 14, specs.MpolFNumaBalancing: 1 << 13,
	}
}

func memoryPolicyOf(m *specs.LinuxMemoryPolicy) (mode int, nodes []uint64, err error) {
	mode, ok := memoryModes()[m.Mode]
	if !ok {
		return 0, nil, fmt.Errorf("linux.memoryPolicy.mode: %.40q: no such mode", m.Mode)
	}
	for _, name := range m.Flags {
		bit, ok := memoryFlags()[name]
		if !ok {
			return 0, nil, fmt.Errorf("linux.memoryPolicy.flags: %.40q: no such flag", name)
		}
		mode |= bit
	}
	for part := range strings.SplitSeq(m.Nodes, ",") {
		if part == "" {
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 10)
		to, err2 := strconv.ParseUint(last, 10, 10)
		if err1 != nil || err2 != nil || from > to {
			return 0, nil, fmt.Errorf("linux.memoryPolicy.nodes: %.40q: want a list such as 0-1,3", m.Nodes)
		}
		for n := from; n <= to; n++ {
			for uint64(len(nodes)) <= n/64 {
				nodes = append(nodes, 0)
			}
			nodes[n/64] |= 1 << (n % 64)
		}
	}
	return mode, nodes, nil
}
