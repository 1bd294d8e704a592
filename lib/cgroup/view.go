package cgroup

import (
	"reflect"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Resources are the limits as inspect prints them, in a fixed order and with fixed names. A limit that
// the document does not set shows the kernel's default.
type Resources struct {
	CpuCfsPeriod                 uint64
	CpuCfsQuota                  int64
	CpuRtPeriod                  uint64
	CpuRtRuntime                 int64
	CpuShares                    uint64
	CpusetCpus                   string
	CpusetMems                   string
	MemoryLimit                  int64
	MemorySoftLimit              int64
	MemorySwapLimit              int64
	MemorySwappiness             uint64
	OomKillDisable               bool
	KernelMemoryLimit            int64
	KernelMemoryTCPLimit         int64
	BlkioWeight                  uint16
	BlkioLeafWeight              uint16
	BlkioWeightDevice            []specs.LinuxWeightDevice
	BlkioLeafWeightDevice        []specs.LinuxWeightDevice
	BlkioThrottleReadBpsDevice   []specs.LinuxThrottleDevice
	BlkioThrottleWriteBpsDevice  []specs.LinuxThrottleDevice
	BlkioThrottleReadIOPSDevice  []specs.LinuxThrottleDevice
	BlkioThrottleWriteIOPSDevice []specs.LinuxThrottleDevice
	Device                       []specs.LinuxDeviceCgroup // in addition to DefaultDevices
	PidsMax                      int64
	NetClsClassid                uint32
	NetPrioIfpriomap             []specs.LinuxInterfacePriority
	Freezer                      string // FROZEN while paused, or empty
	HugepagesLimit               []specs.LinuxHugepageLimit
}

// View returns the limits of a document; r may be nil.
func View(r *specs.LinuxResources) Resources {
	v := Resources{
		CpuCfsPeriod: defaultPeriod, CpuCfsQuota: -1, CpuRtPeriod: defaultRTPeriod, CpuRtRuntime: 950000, CpuShares: 1024,
		MemoryLimit: -1, MemorySoftLimit: -1, MemorySwapLimit: -1, MemorySwappiness: 60,
		KernelMemoryLimit: -1, KernelMemoryTCPLimit: -1,
	}
	// Cpu 0 and node 0 exist on every host.
	v.CpusetCpus, v.CpusetMems = "0", "0"
	if list, err := onlineCPUs(); err == nil {
		v.CpusetCpus = list
	}
	if list, err := onlineMems(); err == nil {
		v.CpusetMems = list
	}
	if r != nil {
		v.cpu(r.CPU)
		v.memory(r.Memory)
		v.blockIO(r.BlockIO)
		v.Device = extraDevices(r.Devices)
		if r.Pids != nil && r.Pids.Limit != nil {
			v.PidsMax = max(*r.Pids.Limit, 0)
		}
		if n := r.Network; n != nil {
			take(&v.NetClsClassid, n.ClassID)
			v.NetPrioIfpriomap = n.Priorities
		}
		v.HugepagesLimit = r.HugepageLimits
	}
	return v
}

func (v *Resources) cpu(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	take(&v.CpuCfsPeriod, c.Period)
	take(&v.CpuCfsQuota, c.Quota)
	take(&v.CpuRtPeriod, c.RealtimePeriod)
	take(&v.CpuRtRuntime, c.RealtimeRuntime)
	take(&v.CpuShares, c.Shares)
	if c.Cpus != "" {
		v.CpusetCpus = c.Cpus
	}
	if c.Mems != "" {
		v.CpusetMems = c.Mems
	}
}

func (v *Resources) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	take(&v.MemoryLimit, m.Limit)
	take(&v.MemorySoftLimit, m.Reservation)
	take(&v.MemorySwapLimit, m.Swap)
	take(&v.MemorySwappiness, m.Swappiness)
	take(&v.OomKillDisable, m.DisableOOMKiller)
	take(&v.KernelMemoryLimit, m.Kernel)
	take(&v.KernelMemoryTCPLimit, m.KernelTCP)
}

func (v *Resources) blockIO(b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	take(&v.BlkioWeight, b.Weight)
	take(&v.BlkioLeafWeight, b.LeafWeight)
	for _, d := range b.WeightDevice {
		if d.Weight != nil {
			v.BlkioWeightDevice = append(v.BlkioWeightDevice, d)
		}
		if d.LeafWeight != nil {
			v.BlkioLeafWeightDevice = append(v.BlkioLeafWeightDevice, d)
		}
	}
	v.BlkioThrottleReadBpsDevice = b.ThrottleReadBpsDevice
	v.BlkioThrottleWriteBpsDevice = b.ThrottleWriteBpsDevice
	v.BlkioThrottleReadIOPSDevice = b.ThrottleReadIOPSDevice
	v.BlkioThrottleWriteIOPSDevice = b.ThrottleWriteIOPSDevice
}

// extraDevices returns the rules without the default ones that they begin with, if they do.
func extraDevices(rules []specs.LinuxDeviceCgroup) []specs.LinuxDeviceCgroup {
	usual := DefaultDevices()
	if len(rules) >= len(usual) && reflect.DeepEqual(rules[:len(usual)], usual) {
		rules = rules[len(usual):]
	}
	if len(rules) == 0 {
		return nil
	}
	return rules
}

// take sets a shown value if the document has one.
func take[T any](shown *T, field *T) {
	if field != nil {
		*shown = *field
	}
}
