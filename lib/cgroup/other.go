package cgroup

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// devices plans v1's rules, or a program where v1's controller is not mounted.
func (p *plan) devices(rules []specs.LinuxDeviceCgroup) {
	const field = "linux.resources.devices"
	switch {
	case len(rules) == 0:
	case p.trees.find("devices") != nil:
		for _, rule := range rules {
			file, line := deviceRule(rule)
			p.set("devices", field, file, line)
		}
	case p.trees.unified() != nil:
		p.program = judge(rules).program()
	default: // a container that may make any node would be the host
		p.refuse(field, "no cgroup hierarchy limits devices", p.mountHint("devices"))
	}
}

func (p *plan) hugepages(limits []specs.LinuxHugepageLimit) {
	for _, l := range limits {
		const flag = "--hugepages-limit"
		if strings.ContainsAny(l.Pagesize, "/ \n") {
			p.refuse(flag, fmt.Sprintf("page size %.20q", l.Pagesize), "want one such as 2MB or 1GB")
			continue
		}
		prefix := "hugetlb." + l.Pagesize
		p.setByVersion("hugetlb", flag, prefix+".limit_in_bytes", number(l.Limit), prefix+".max", number(l.Limit))
	}
}

func (p *plan) network(n *specs.LinuxNetwork) {
	if n == nil {
		return
	}
	// v2 has neither: filters match on the group's path there. Both are v1 controllers for ever.
	if n.ClassID != nil && *n.ClassID != 0 {
		p.set("net_cls", "--net-cls-classid", "net_cls.classid", number(*n.ClassID))
	}
	for _, i := range n.Priorities {
		p.set("net_prio", "--net-prio-ifpriomap", "net_prio.ifpriomap", i.Name+" "+number(i.Priority))
	}
}

func (p *plan) rdma(limits map[string]specs.LinuxRdma) {
	for _, device := range slices.Sorted(maps.Keys(limits)) {
		line, limit := device, limits[device]
		if limit.HcaHandles != nil {
			line += " hca_handle=" + number(*limit.HcaHandles)
		}
		if limit.HcaObjects != nil {
			line += " hca_object=" + number(*limit.HcaObjects)
		}
		p.set("rdma", "linux.resources.rdma", "rdma.max", line)
	}
}

// unified plans linux.resources.unified: the names of v2's files and what to write to them.
func (p *plan) unified(values map[string]string) {
	if len(values) == 0 {
		return
	}
	const flag = "linux.resources.unified"
	t := p.trees.unified()
	if t == nil {
		p.refuse(flag, "cgroup v2 is not mounted", "use the fields of v1 beside it")
		return
	}
	for _, file := range slices.Sorted(maps.Keys(values)) {
		controller, rest, ok := strings.Cut(file, ".")
		if !ok || rest == "" || strings.Contains(file, "/") {
			p.refuse(flag, fmt.Sprintf("%.40q is no file of a cgroup", file), "want one such as memory.high")
			continue
		}
		if controller != "cgroup" && !t.has(controller) {
			p.refuse(flag, fmt.Sprintf("%s: the %s controller is not in %s", file, controller, t.dir("cgroup.controllers")), "leave it out")
			continue
		}
		p.steps = append(p.steps, step{t, controller, flag + "." + file, file, values[file]})
	}
}
