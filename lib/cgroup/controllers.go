package cgroup

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

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
	// v2 has neither net_cls nor net_prio: packet filters match the cgroup's path instead.
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
