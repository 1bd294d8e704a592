package cgroup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// step is one value for one file of a group.
type step struct {
	tree  *tree
	name  string // of the controller
	flag  string // who asked: the option, or the field of the document that has none
	file  string
	value string
}

// plan is what a document asks of the kernel, in the order in which it is to be written.
type plan struct {
	trees trees
	host  host
	now   func(t *tree, file string) string
	steps []step
	errs  []error

	program []linux.Instruction // v2's way to limit devices; none where v1 does
}

// makePlan translates a document for the hierarchies at hand, by the table in the package comment.
// What this kind of cgroup cannot do is an error here, before anything is made. now reads what a
// file of the group says, "" where there is no group yet; nil stands for a new group.
func makePlan(ts trees, h host, r *specs.LinuxResources, now func(t *tree, file string) string) (*plan, error) {
	if now == nil {
		now = func(*tree, string) string { return "" }
	}
	p := &plan{trees: ts, host: h, now: now}
	if r == nil {
		return p, nil
	}
	if r.CPU != nil {
		p.cpuset(r.CPU)
		p.cpu(r.CPU)
		p.realtime(r.CPU)
	}
	if r.Memory != nil {
		p.memory(r.Memory)
	}
	if r.Pids != nil && r.Pids.Limit != nil {
		p.set("pids", "--pids-max", "pids.max", orMax(*r.Pids.Limit, 1))
	}
	if r.BlockIO != nil {
		p.blockIO(r.BlockIO)
	}
	p.devices(r.Devices)
	p.hugepages(r.HugepageLimits)
	p.network(r.Network)
	p.rdma(r.Rdma)
	p.unified(r.Unified)
	return p, errors.Join(p.errs...)
}

// version returns the kind of cgroup that the controller lives in, 0 where it is not mounted.
func (p *plan) version(controller string) int {
	if t := p.trees.find(controller); t != nil {
		return t.version
	}
	return 0
}

// set plans one value. The file has the same name, or the controller one kind of cgroup only.
func (p *plan) set(controller, flag, file, value string) {
	t := p.trees.find(controller)
	switch {
	case t != nil:
		p.steps = append(p.steps, step{t, controller, flag, file, value})
	case !unlimited(value): // no limit is what a controller that is not there gives
		p.errs = append(p.errs, fmt.Errorf("%s: no cgroup hierarchy has the %s controller: %s", flag, controller, p.mountHint(controller)))
	}
}

// setByVersion plans a value whose file has another name, and may have another form, on v1 and v2.
func (p *plan) setByVersion(controller, flag, v1, value1, v2, value2 string) {
	if p.version(controller) == 2 {
		p.set(controller, flag, v2, value2)
	} else {
		p.set(controller, flag, v1, value1)
	}
}

// refuse notes what the user asked for and this kernel has not.
func (p *plan) refuse(flag, reason, remedy string) {
	p.errs = append(p.errs, fmt.Errorf("%s: %s: %s", flag, reason, remedy))
}

// mountHint says how the user gets a controller that is missing. Those of the network are v1's
// alone, and can stand beside v2.
func (p *plan) mountHint(controller string) string {
	if t := p.trees.unified(); t != nil && len(p.trees) == 1 && !strings.HasPrefix(controller, "net_") {
		return "leave the option out, or boot a kernel that lists it in " + t.dir("cgroup.controllers")
	}
	return fmt.Sprintf("mount -t cgroup -o %s cgroup /sys/fs/cgroup/%s", controller, controller)
}

// unlimited reports whether a value asks for no limit.
func unlimited(value string) bool { return value == "-1" || value == "max" }

// orMax writes a limit for the files that spell no limit "max"; what is under least is none.
func orMax(n, least int64) string {
	if n < least {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func number[T int64 | uint64 | uint32 | uint16](n T) string { return fmt.Sprint(n) }

// lacks says why a file may be missing from a group, and what helps.
func lacks(file string) string {
	switch {
	case strings.Contains(file, "memsw"), strings.Contains(file, "swap.max"):
		return "boot with swapaccount=1, or leave the option out"
	case strings.HasPrefix(file, "cpu.rt_"):
		return "this needs a kernel with CONFIG_RT_GROUP_SCHED"
	case strings.HasPrefix(file, "cpu.cfs_"), file == "cpu.max":
		return "this needs a kernel with CONFIG_CFS_BANDWIDTH"
	case strings.HasPrefix(file, "memory.kmem"):
		return "kernel memory counts in --memory-limit here; leave the option out"
	case strings.HasPrefix(file, "hugetlb."):
		return "choose a page size from /sys/kernel/mm/hugepages"
	}
	return "leave it out, or use a kernel that has it"
}
