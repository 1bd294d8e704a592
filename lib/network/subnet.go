package network

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// usedPrefix is a range of addresses that is taken, and by whom.
type usedPrefix struct {
	prefix netip.Prefix
	owner  string // "network subnet1", "a route of this host on eth0"
}

// used returns the addresses that network n must not overlap: those of our other networks, and those that
// the host's IPv4 routes lead to, but for its own.
func (m *Manager) used(n Network) ([]usedPrefix, error) {
	list, _ := m.List() // what cannot be read is no reason to refuse others
	var used []usedPrefix
	for _, other := range list {
		if other.Name == n.Name {
			continue
		}
		for _, p := range other.IPNets {
			used = append(used, usedPrefix{p, "network " + other.Name})
		}
	}
	routes, err := hostRoutes(n.Link)
	return append(used, routes...), err
}

// hostRoutes returns where the host's IPv4 routes lead, but for those over the link named except.
// Default routes are left out, and the two halves that a VPN puts in their place.
func hostRoutes(except string) ([]usedPrefix, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	names := make(map[int]string)
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var used []usedPrefix
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		addr, _ := netip.AddrFromSlice(r.Dst.IP)
		bits, _ := r.Dst.Mask.Size()
		if name := names[r.LinkIndex]; bits > 1 && name != except {
			used = append(used, usedPrefix{netip.PrefixFrom(addr.Unmap(), bits), "a route of this host on " + name})
		}
	}
	return used, nil
}

// chooseSubnet returns the subnet that the user asked for, or a free /24, such as no others use.
func chooseSubnet(asked []string, used []usedPrefix) (netip.Prefix, error) {
	switch len(asked) {
	case 0:
		return freeSubnet(used)
	case 1:
		p, err := parseSubnet(asked[0])
		if err != nil {
			return netip.Prefix{}, err
		}
		return p, checkOverlap(p, used)
	}
	return netip.Prefix{}, fmt.Errorf("subnets %.80q: a network has one", asked)
}

func checkOverlap(p netip.Prefix, used []usedPrefix) error {
	if i := slices.IndexFunc(used, func(u usedPrefix) bool { return u.prefix.Overlaps(p) }); i >= 0 {
		return fmt.Errorf("subnet %s overlaps %s: %s", p, used[i].prefix, used[i].owner)
	}
	return nil
}

// freeSubnet tries the /24 networks behind the default one, then those of the two other private
// ranges (RFC 1918).
func freeSubnet(used []usedPrefix) (netip.Prefix, error) {
	for _, first := range []string{"10.20.30.0/24", "172.30.0.0/24", "192.168.128.0/24"} {
		b := netip.MustParsePrefix(first).Addr().As4()
		for third := int(b[2]); third < 256; third++ {
			b[2] = byte(third)
			p := netip.PrefixFrom(netip.AddrFrom4(b), 24)
			if checkOverlap(p, used) == nil {
				return p, nil
			}
		}
	}
	return netip.Prefix{}, fmt.Errorf("no free subnet: name one with -s CIDR")
}

// parseSubnet reads an IPv4 subnet that has room for a gateway and a container.
func parseSubnet(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("subnet %.80q: want an address and a length, such as 10.10.1.0/24", s)
	case !p.Addr().Is4():
		return p, fmt.Errorf("subnet %s: want an IPv4 subnet", p)
	case p != p.Masked():
		return p, fmt.Errorf("subnet %s: the address has bits behind the length: did you mean %s", p, p.Masked())
	case p.Bits() < 8 || p.Bits() > 30:
		return p, fmt.Errorf("subnet %s: want a length from 8 to 30", p)
	case p.Addr().IsLoopback() || p.Addr().IsMulticast() || p.Addr().As4()[0] == 0 || p.Addr().As4()[0] >= 240:
		return p, fmt.Errorf("subnet %s: these addresses are not for hosts", p)
	}
	return p, nil
}

// broadcast returns the last address of an IPv4 subnet.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}
