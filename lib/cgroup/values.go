package cgroup

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// CPUs is a number of cpus in thousandths, 0 for no limit.
type CPUs int64

// UnmarshalText parses 2, 1.5 or .25.
func (c *CPUs) UnmarshalText(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > maxCPU || strings.Trim(string(text), "0123456789.") != "" {
		return fmt.Errorf("cpus %.40q: want a number such as 1.5", text)
	}
	*c = CPUs(math.Round(f * 1000))
	return nil
}

// MarshalText formats the number as UnmarshalText parses it.
func (c CPUs) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(c)/1000, 'f', -1, 64), nil
}

// times returns the cfs period and quota, in microseconds; a quota of -1 is no limit.
func (c CPUs) times() (period uint64, quota int64) {
	if c == 0 {
		return defaultPeriod, -1
	}
	return defaultPeriod, int64(c) * defaultPeriod / 1000
}

// PerDevice is a limit of one block device: a weight, or bytes or operations in a second.
type PerDevice struct {
	Path  string
	Value Size
}

// UnmarshalText parses /dev/sda:500 or /dev/sda:10m.
func (d *PerDevice) UnmarshalText(text []byte) error {
	at := max(strings.LastIndexByte(string(text), ':'), 0)
	path, value := string(text[:at]), strings.TrimPrefix(string(text[at:]), ":")
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(value, "-") || d.Value.UnmarshalText([]byte(value)) != nil {
		return fmt.Errorf("device %.80q: want a path and a number, such as /dev/sda:10m", text)
	}
	d.Path = path
	return nil
}

// MarshalText formats the limit as UnmarshalText parses it.
func (d PerDevice) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s:%d", d.Path, d.Value), nil
}

// device returns the device numbers of the path.
func (d PerDevice) device() (major, minor int64, err error) {
	node, err := linux.StatDevice(d.Path)
	if err == nil && node.Kind != "b" {
		err = fmt.Errorf("%s: not a block device", d.Path)
	}
	return node.Major, node.Minor, err
}

// Hugepages is a limit of huge pages of one size, in bytes.
type Hugepages specs.LinuxHugepageLimit

// UnmarshalText parses 2MB=1g.
func (h *Hugepages) UnmarshalText(text []byte) error {
	size, value, _ := strings.Cut(string(text), "=")
	var limit Size
	if size == "" || strings.HasPrefix(value, "-") || limit.UnmarshalText([]byte(value)) != nil {
		return fmt.Errorf("huge pages %.40q: want their size and a limit, such as 2MB=1g", text)
	}
	h.Pagesize, h.Limit = size, uint64(limit)
	return nil
}

// MarshalText formats the limit as UnmarshalText parses it.
func (h Hugepages) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s=%d", h.Pagesize, h.Limit), nil
}

// check returns an error if the kernel has no pages of that size.
func (h Hugepages) check() error {
	var bytes Size
	if err := bytes.UnmarshalText([]byte(h.Pagesize)); err == nil {
		if _, err = os.Stat(fmt.Sprintf("/sys/kernel/mm/hugepages/hugepages-%dkB", bytes>>10)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("--hugepages-limit %.40q: this kernel has no pages of that size: choose one from /sys/kernel/mm/hugepages, such as 2MB", h.Pagesize)
}

// ClassID is a traffic class of tc(8): 16 bits of major and 16 of minor number.
type ClassID uint32

// UnmarshalText parses 10:1 (hexadecimal, as in tc), 0x100001 or 1048577.
func (c *ClassID) UnmarshalText(text []byte) error {
	var number uint64
	var err error
	if major, minor, ok := strings.Cut(string(text), ":"); ok {
		var low uint64
		if number, err = strconv.ParseUint(major, 16, 16); err == nil {
			low, err = strconv.ParseUint(minor, 16, 16)
		}
		number = number<<16 | low
	} else {
		number, err = strconv.ParseUint(string(text), 0, 32)
	}
	if err != nil {
		return fmt.Errorf("class %.40q: want one such as 10:1 or 0x100001", text)
	}
	*c = ClassID(number)
	return nil
}

// MarshalText formats the class as UnmarshalText parses it.
func (c ClassID) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%x:%x", c>>16, c&0xffff), nil
}

// InterfacePriority is the priority of packets on a network link of the host.
type InterfacePriority specs.LinuxInterfacePriority

// UnmarshalText parses eth0=5.
func (p *InterfacePriority) UnmarshalText(text []byte) error {
	name, value, _ := strings.Cut(string(text), "=")
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || name == "" || strings.ContainsAny(name, " /\t\n") {
		return fmt.Errorf("priority %.40q: want a link and a number, such as eth0=5", text)
	}
	p.Name, p.Priority = name, uint32(n)
	return nil
}

// MarshalText formats the priority as UnmarshalText parses it.
func (p InterfacePriority) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s=%d", p.Name, p.Priority), nil
}
