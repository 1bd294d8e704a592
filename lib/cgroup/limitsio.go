package cgroup

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// mergeIO sets the limits of block devices in r. A limit replaces the previous one of the same device.
func (l Limits) mergeIO(r *specs.LinuxResources) error {
	var b specs.LinuxBlockIO
	if r.BlockIO != nil {
		b = *r.BlockIO
	}
	put(&b.Weight, l.Weight)
	put(&b.LeafWeight, l.LeafWeight)
	for _, option := range l.WeightDevice {
		if err := option.weigh(&b, func(d *specs.LinuxWeightDevice) **uint16 { return &d.Weight }); err != nil {
			return err
		}
	}
	for _, option := range l.LeafWeightDevice {
		if err := option.weigh(&b, func(d *specs.LinuxWeightDevice) **uint16 { return &d.LeafWeight }); err != nil {
			return err
		}
	}
	for _, t := range []struct {
		options []PerDevice
		field   *[]specs.LinuxThrottleDevice
	}{
		{l.ReadBps, &b.ThrottleReadBpsDevice}, {l.WriteBps, &b.ThrottleWriteBpsDevice},
		{l.ReadIOPS, &b.ThrottleReadIOPSDevice}, {l.WriteIOPS, &b.ThrottleWriteIOPSDevice},
	} {
		for _, option := range t.options {
			major, minor, err := option.device()
			if err != nil {
				return err
			}
			d := specs.LinuxThrottleDevice{Rate: uint64(option.Value)}
			d.Major, d.Minor = major, minor
			*t.field = replace(*t.field, d, func(old specs.LinuxThrottleDevice) bool { return old.Major == major && old.Minor == minor })
		}
	}
	if r.BlockIO != nil || l.limitsIO() {
		r.BlockIO = &b
	}
	return nil
}

// limitsIO reports whether any block device option was given.
func (l Limits) limitsIO() bool {
	return l.Weight != nil || l.LeafWeight != nil || len(l.perDevice()) > 0
}

// perDevice returns the options of all single devices.
func (l Limits) perDevice() (all []PerDevice) {
	for _, list := range [][]PerDevice{l.WeightDevice, l.LeafWeightDevice, l.ReadBps, l.WriteBps, l.ReadIOPS, l.WriteIOPS} {
		all = append(all, list...)
	}
	return all
}

// weigh sets one weight of a device, weight or leaf weight, and keeps the other.
func (d PerDevice) weigh(b *specs.LinuxBlockIO, field func(*specs.LinuxWeightDevice) **uint16) error {
	major, minor, err := d.device()
	if err != nil {
		return err
	}
	same := func(w specs.LinuxWeightDevice) bool { return w.Major == major && w.Minor == minor }
	var entry specs.LinuxWeightDevice
	entry.Major, entry.Minor = major, minor
	if i := slices.IndexFunc(b.WeightDevice, same); i >= 0 {
		entry = b.WeightDevice[i]
	}
	weight := uint16(d.Value)
	*field(&entry) = &weight
	b.WeightDevice = replace(b.WeightDevice, entry, same)
	return nil
}

// mergeNetwork sets network class and priorities in r.
func (l Limits) mergeNetwork(r *specs.LinuxResources) {
	if l.NetClass == nil && len(l.NetPriority) == 0 {
		return
	}
	var n specs.LinuxNetwork
	if r.Network != nil {
		n = *r.Network
	}
	put(&n.ClassID, (*uint32)(l.NetClass))
	for _, p := range l.NetPriority {
		n.Priorities = replace(n.Priorities, specs.LinuxInterfacePriority(p),
			func(old specs.LinuxInterfacePriority) bool { return old.Name == p.Name })
	}
	r.Network = &n
}

// replace returns a copy of list in which v replaces the element for which same is true, or is appended.
// The caller's list is not modified.
func replace[T any](list []T, v T, same func(T) bool) []T {
	list = slices.Clone(list)
	if i := slices.IndexFunc(list, same); i >= 0 {
		list[i] = v
		return list
	}
	return append(list, v)
}
