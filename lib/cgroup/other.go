package cgroup

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// devices plans v1's rules. v2 has no files for them.
func (p *plan) devices(rules []specs.LinuxDeviceCgroup) {
	if p.version("devices") != 1 {
		return
	}
	for _, rule := range rules {
		file, line := deviceRule(rule)
		p.set("devices", "linux.resources.devices", file, line)
	}
}

func (p *plan) blockIO(b *specs.LinuxBlockIO) {
	const field = "linux.resources.blockIO."
	io := "blkio"
	if p.version(io) == 0 {
		io = "io"
	}
	v2 := p.version(io) == 2
	if b.Weight != nil && *b.Weight != 0 {
		p.setByVersion(io, field+"weight", "blkio.bfq.weight", number(*b.Weight), "io.bfq.weight", number(*b.Weight))
	}
	if b.LeafWeight != nil && *b.LeafWeight != 0 {
		p.refuse(field+"leafWeight", "kernels since 5.0 have none", "use weight")
	}
	for _, d := range b.WeightDevice {
		if d.LeafWeight != nil && *d.LeafWeight != 0 {
			p.refuse(field+"weightDevice.leafWeight", "kernels since 5.0 have none", "use weight")
		}
		if d.Weight != nil {
			line := fmt.Sprintf("%d:%d %d", d.Major, d.Minor, *d.Weight)
			p.setByVersion(io, field+"weightDevice", "blkio.bfq.weight_device", line, "io.bfq.weight", line)
		}
	}
	for _, throttle := range []struct {
		field, v1, v2 string
		devices       []specs.LinuxThrottleDevice
	}{
		{"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps", b.ThrottleReadBpsDevice},
		{"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps", b.ThrottleWriteBpsDevice},
		{"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops", b.ThrottleReadIOPSDevice},
		{"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops", b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range throttle.devices {
			if v2 {
				rate := number(d.Rate)
				if d.Rate == 0 {
					rate = "max" // v1's files take 0 for no limit
				}
				p.set(io, field+throttle.field, "io.max", fmt.Sprintf("%d:%d %s=%s", d.Major, d.Minor, throttle.v2, rate))
			} else {
				p.set(io, field+throttle.field, throttle.v1, fmt.Sprintf("%d:%d %d", d.Major, d.Minor, d.Rate))
			}
		}
	}
}

func (p *plan) hugepages(limits []specs.LinuxHugepageLimit) {
	for _, l := range limits {
		const flag = "linux.resources.hugepageLimits"
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
		p.set("net_cls", "linux.resources.network.classID", "net_cls.classid", number(*n.ClassID))
	}
	for _, i := range n.Priorities {
		p.set("net_prio", "linux.resources.network.priorities", "net_prio.ifpriomap", i.Name+" "+number(i.Priority))
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
