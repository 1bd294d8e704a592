package cgroup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// step is a value to write to a file of the cgroup.
type step struct {
	tree  *tree
	name  string // of the controller
	flag  string // the option, or the field of the document if it has no option
	file  string
	value string
}

// plan is the list of values that a document sets, in the order in which they are written.
type plan struct {
	trees   trees
	host    host
	current func(t *tree, file string) string
	steps   []step
	errs    []error

	program []linux.Instruction // limits devices on v2; nil if v1 limits them
}

// makePlan translates a document for the given hierarchies, by the table in the package comment. A
// limit that they do not support is an error. current returns the content of a file of the cgroup, ""
// if there is none; it is nil for a new cgroup.
func makePlan(ts trees, h host, r *specs.LinuxResources, current func(t *tree, file string) string) (*plan, error) {
	if current == nil {
		current = func(*tree, string) string { return "" }
	}
	p := &plan{trees: ts, host: h, current: current}
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

// version returns the cgroup version, 1 or 2, of the controller's hierarchy, 0 if it is not mounted.
func (p *plan) version(controller string) int {
	if t := p.trees.find(controller); t != nil {
		return t.version
	}
	return 0
}

// set plans one value of a file with the same name on v1 and v2, or of a controller that only one of them has.
func (p *plan) set(controller, flag, file, value string) {
	t := p.trees.find(controller)
	switch {
	case t != nil:
		p.steps = append(p.steps, step{t, controller, flag, file, value})
	case !unlimited(value): // without the controller there is no limit
		p.errs = append(p.errs, fmt.Errorf("%s: no cgroup hierarchy has the %s controller: %s", flag, controller, p.mountHint(controller)))
	}
}

// setByVersion plans a value whose file and form differ between v1 and v2.
func (p *plan) setByVersion(controller, flag, v1, value1, v2, value2 string) {
	if p.version(controller) == 2 {
		p.set(controller, flag, v2, value2)
	} else {
		p.set(controller, flag, v1, value1)
	}
}

// refuse records an error for a limit that this host does not support.
func (p *plan) refuse(flag, reason, remedy string) {
	p.errs = append(p.errs, fmt.Errorf("%s: %s: %s", flag, reason, remedy))
}

// mountHint returns how to make a missing controller available. The network controllers exist on v1
// only and can be mounted beside v2.
func (p *plan) mountHint(controller string) string {
	if t := p.trees.unified(); t != nil && len(p.trees) == 1 && !strings.HasPrefix(controller, "net_") {
		return "leave the option out, or boot a kernel that lists it in " + t.dir("cgroup.controllers")
	}
	return fmt.Sprintf("mount -t cgroup -o %s cgroup /sys/fs/cgroup/%s", controller, controller)
}

// unlimited reports whether a value means no limit.
func unlimited(value string) bool { return value == "-1" || value == "max" }

// orMax formats a limit; a number below least is no limit, "max".
func orMax(n, least int64) string {
	if n < least {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func number[T int64 | uint64 | uint32 | uint16](n T) string { return fmt.Sprint(n) }

// missingHint returns why the kernel may lack a file, and the remedy.
func missingHint(file string) string {
	switch {
	case strings.Contains(file, "memsw"), strings.Contains(file, "swap.max"):
		return "boot with swapaccount=1, or leave the option out"
	case strings.HasPrefix(file, "cpu.rt_"):
		return "this needs a kernel with CONFIG_RT_GROUP_SCHED"
	case strings.HasPrefix(file, "cpu.cfs_"), file == "cpu.max":
		return "this needs a kernel with CONFIG_CFS_BANDWIDTH"
	case strings.HasPrefix(file, "memory.kmem"):
		return "leave it out, --memory-limit includes kernel memory"
	case strings.HasPrefix(file, "hugetlb."):
		return "choose a page size from /sys/kernel/mm/hugepages"
	}
	return "leave it out, or use a kernel that has it"
}
