package cgroup

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (p *plan) blockIO(b *specs.LinuxBlockIO) {
	if b.LeafWeight != nil && *b.LeafWeight != 0 {
		p.refuse("--blkio-leaf-weight", "kernels since 5.0 have none", "use --blkio-weight")
	}
	if b.Weight != nil && *b.Weight != 0 {
		p.ioWeight("--blkio-weight", "", *b.Weight)
	}
	for _, d := range b.WeightDevice {
		if d.LeafWeight != nil && *d.LeafWeight != 0 {
			p.refuse("--blkio-leaf-weight-device", "kernels since 5.0 have none", "use --blkio-weight-device")
		}
		if d.Weight != nil {
			p.ioWeight("--blkio-weight-device", deviceID(d.Major, d.Minor), *d.Weight)
		}
	}
	p.throttle("--device-read-bps", "read_bps", "rbps", b.ThrottleReadBpsDevice)
	p.throttle("--device-write-bps", "write_bps", "wbps", b.ThrottleWriteBpsDevice)
	p.throttle("--device-read-iops", "read_iops", "riops", b.ThrottleReadIOPSDevice)
	p.throttle("--device-write-iops", "write_iops", "wiops", b.ThrottleWriteIOPSDevice)
}

func deviceID(major, minor int64) string { return fmt.Sprintf("%d:%d", major, minor) }

// ioName returns the name of the block device controller: io if it is on v2, otherwise blkio.
func (p *plan) ioName() string {
	if t := p.trees.find("io"); t != nil && p.trees.find("blkio") == nil {
		return "io"
	}
	return "blkio"
}

func (p *plan) throttle(flag, v1, v2 string, devices []specs.LinuxThrottleDevice) {
	name := p.ioName()
	for _, d := range devices {
		id, rate := deviceID(d.Major, d.Minor), number(d.Rate)
		if name == "blkio" {
			p.set(name, flag, "blkio.throttle."+v1+"_device", id+" "+rate)
			continue
		}
		if d.Rate == 0 {
			rate = "max" // v1 writes 0 for no limit
		}
		p.set(name, flag, "io.max", id+" "+v2+"="+rate)
	}
}

// ioWeight plans a weight for one device, or for all if device is "". Weights need bfq or io.cost
// (cgroup-v2.rst, "IO Interface Files"); otherwise the kernel ignores them.
func (p *plan) ioWeight(flag, device string, weight uint16) {
	name, value := p.ioName(), number(weight)
	line := strings.TrimSpace(device + " " + value)
	switch {
	case name == "blkio" && p.host.bfq(device) && device != "":
		p.set(name, flag, "blkio.bfq.weight_device", line)
	case p.host.bfq(device):
		p.set(name, flag, name+".bfq.weight", line)
	case name == "io" && p.host.ioCost(p.trees.find("io"), device):
		p.set(name, flag, "io.weight", strings.TrimSpace(device+" "+number(ioWeight(weight))))
	case p.trees.find(name) == nil:
		p.set(name, flag, name, value) // adds the error of the missing controller
	case device == "":
		p.refuse(flag, "no block device of this host supports weights", "echo bfq >/sys/block/DEVICE/queue/scheduler")
	default:
		p.refuse(flag, "device "+device+" does not support weights", "echo bfq >/sys/dev/block/"+device+"/queue/scheduler")
	}
}

// ioWeight converts v1's weight (10 to 1000) to v2's io.weight (1 to 10000), as runc and crun do.
func ioWeight(weight uint16) uint64 {
	return 1 + (max(uint64(weight), 10)-10)*9999/990
}

// host answers questions about block devices. An empty device means any.
type host struct {
	bfq    func(device string) bool          // the device uses the bfq scheduler
	ioCost func(t *tree, device string) bool // the device has io.cost enabled
}

// thisHost answers from sysfs and the hierarchy. It reads nothing before a function is called.
func thisHost() host {
	return host{
		bfq: func(device string) bool {
			files, _ := filepath.Glob("/sys/block/*/queue/scheduler") // only fails on a malformed pattern
			if device != "" {
				dir := "/sys/dev/block/" + device
				files = []string{dir + "/queue/scheduler", dir + "/../queue/scheduler"} // a partition uses its disk's
			}
			return slices.ContainsFunc(files, func(file string) bool {
				line, err := readWord(file)
				return err == nil && strings.Contains(line, "[bfq]")
			})
		},
		ioCost: func(t *tree, device string) bool {
			models, _ := readWord(filepath.Join(t.mount, "io.cost.qos")) // no file, no io.cost
			return slices.ContainsFunc(strings.Split(models, "\n"), func(line string) bool {
				name, model, _ := strings.Cut(line, " ")
				return (device == "" || name == device) && strings.Contains(model, "enable=1")
			})
		},
	}
}
