package link

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/state"
)

// defaultMTU is the MTU of a bridge on a host without a default route.
const defaultMTU = 1500

// Range is a range of addresses in use.
type Range struct {
	Prefix netip.Prefix
	User   string // "network subnet1", "a route of this host on eth0"
	Policy bool   // used only by a policy routing table: it may be asked for, but is not chosen
}

// HostRoutes returns the destinations of the host's routes in all tables, except those over the link named except.
// Default routes are left out, and so are the two halves that VPNs use in their place.
func HostRoutes(except string) ([]Range, error) {
	list, err := List()
	if err != nil {
		return nil, err
	}
	names := make(map[int]string)
	for _, l := range list {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	routes, err := Dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, new(netlink.Route), netlink.RT_FILTER_TABLE) // 0: all tables
	})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var used []Range
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		addr, _ := netip.AddrFromSlice(r.Dst.IP)
		bits, _ := r.Dst.Mask.Size()
		if bits <= 1 || addr.IsLinkLocalUnicast() || addr.IsMulticast() {
			continue
		}
		name := names[r.LinkIndex]
		if name != "" && name == except {
			continue
		}
		// Packets consult the tables local and main unless a policy rule sends them elsewhere.
		policy := r.Table != syscall.RT_TABLE_MAIN && r.Table != syscall.RT_TABLE_LOCAL
		used = append(used, Range{netip.PrefixFrom(addr.Unmap(), bits), describeRoute(r, name, policy), policy})
	}
	// A route to a subnet explains more than the host's own address in it.
	slices.SortStableFunc(used, func(a, b Range) int { return cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()) })
	return used, nil
}

// describeRoute names a route for error messages. Blackhole and multipath routes have no link.
func describeRoute(r netlink.Route, dev string, policy bool) string {
	text := "a route of this host"
	switch r.Type {
	case syscall.RTN_LOCAL:
		text = "an address of this host"
	case syscall.RTN_BLACKHOLE, syscall.RTN_UNREACHABLE, syscall.RTN_PROHIBIT, syscall.RTN_THROW:
		return text + " that leads nowhere"
	}
	if dev != "" {
		text += " on " + dev
	}
	if policy {
		text += fmt.Sprintf(" in table %d", r.Table)
	}
	return text
}

// DefaultRoutes returns the families that have a default route over a link of the calling thread's namespace.
func DefaultRoutes(name string) (map[state.Family]bool, error) {
	dev, err := MustFind(name)
	if err != nil {
		return nil, err
	}
	found := make(map[state.Family]bool)
	for f, number := range map[state.Family]int{state.IPv4: netlink.FAMILY_V4, state.IPv6: netlink.FAMILY_V6} {
		routes, err := Dump(func() ([]netlink.Route, error) { return netlink.RouteList(dev, number) })
		if err != nil {
			return nil, fmt.Errorf("list routes of %s: %w", name, err)
		}
		found[f] = slices.ContainsFunc(routes, func(r netlink.Route) bool { return prefixLength(r.Dst) == 0 && r.Gw != nil })
	}
	return found, nil
}

// hostMTU returns the MTU of the host's default route, or else of its link.
func hostMTU() int {
	for _, f := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := Dump(func() ([]netlink.Route, error) { return netlink.RouteList(nil, f) })
		if err != nil {
			continue
		}
		for _, r := range routes {
			if prefixLength(r.Dst) > 0 {
				continue
			}
			if r.MTU > 0 {
				return r.MTU
			}
			if dev, err := netlink.LinkByIndex(r.LinkIndex); err == nil && dev.Attrs().MTU > 0 {
				return dev.Attrs().MTU
			}
		}
	}
	return defaultMTU
}

// prefixLength returns the prefix length of a route's destination, 0 for a default route.
func prefixLength(dst *net.IPNet) int {
	if dst == nil {
		return 0
	}
	ones, _ := dst.Mask.Size()
	return ones
}
