package network

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
)

// usedPrefix is a range of addresses that is taken, and by whom.
type usedPrefix struct {
	prefix netip.Prefix
	owner  string // "network subnet1", "a route of this host on eth0"
	aside  bool   // a route in a table that only some packets meet: no reason to refuse a subnet, but not to choose it
}

// used returns the addresses that network n must not overlap: those of our other networks, and those that
// the host's routes lead to, but for its own.
func (m *Manager) used(n Network) ([]usedPrefix, error) {
	list, _ := m.List() // what cannot be read is no reason to refuse others
	var used []usedPrefix
	for _, other := range list {
		if other.Name == n.Name {
			continue
		}
		for _, p := range other.IPNets {
			used = append(used, usedPrefix{prefix: p, owner: "network " + other.Name})
		}
	}
	routes, err := hostRoutes(n.Link)
	return append(used, routes...), err
}

// hostRoutes returns where the host's routes lead, in all tables, but for those over the link named except; "" excepts
// none. Default routes are left out, and the two halves that a VPN puts in their place.
func hostRoutes(except string) ([]usedPrefix, error) {
	links, err := dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	names := make(map[int]string)
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	routes, err := dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, new(netlink.Route), netlink.RT_FILTER_TABLE) // 0: all tables
	})
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
		if bits <= 1 || addr.IsLinkLocalUnicast() || addr.IsMulticast() {
			continue
		}
		name := names[r.LinkIndex]
		if name != "" && name == except {
			continue
		}
		// The table of this host's own addresses is met first, and the main one by all that no other rule leads away.
		aside := r.Table != syscall.RT_TABLE_MAIN && r.Table != syscall.RT_TABLE_LOCAL
		used = append(used, usedPrefix{netip.PrefixFrom(addr.Unmap(), bits), describeRoute(r, name, aside), aside})
	}
	// What leads there says more than which address of this host lies in it.
	slices.SortStableFunc(used, func(a, b usedPrefix) int { return cmp.Compare(a.prefix.Bits(), b.prefix.Bits()) })
	return used, nil
}

// describeRoute says which route it is. One has no link that leads nowhere, or by several.
func describeRoute(r netlink.Route, link string, aside bool) string {
	text := "a route of this host"
	switch r.Type {
	case syscall.RTN_LOCAL:
		text = "an address of this host"
	case syscall.RTN_BLACKHOLE, syscall.RTN_UNREACHABLE, syscall.RTN_PROHIBIT, syscall.RTN_THROW:
		return text + " that leads nowhere"
	}
	if link != "" {
		text += " on " + link
	}
	if aside {
		text += fmt.Sprintf(" in table %d", r.Table)
	}
	return text
}

// dump lists what the kernel has, again where it changed meanwhile.
func dump[T any](list func() ([]T, error)) ([]T, error) {
	found, err := list()
	for tries := 0; errors.Is(err, netlink.ErrDumpInterrupted) && tries < 100; tries++ {
		found, err = list()
	}
	return found, err
}

// chooseSubnets returns the subnets that the user asked for. A free /24 is chosen where there is none of
// IPv4 among them, and with v6 a private /64 where there is none of IPv6.
func chooseSubnets(asked []string, v6 bool, used []usedPrefix) ([]netip.Prefix, error) {
	var list []netip.Prefix
	missing := map[family]bool{ipv4: true, ipv6: v6}
	for _, word := range asked {
		p, err := parseSubnet(word)
		if err == nil {
			err = checkOverlap(p, used)
		}
		if err != nil {
			return nil, err
		}
		used = append(used, usedPrefix{prefix: p, owner: "it is named twice"})
		list = append(list, p)
		missing[familyOf(p.Addr())] = false
	}
	if missing[ipv4] {
		p, err := freeSubnet(used)
		if err != nil {
			return nil, err
		}
		list = append([]netip.Prefix{p}, list...)
	}
	if missing[ipv6] {
		p, err := privateSubnet(used)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// chooseGateways returns the bridge's address in each subnet: the one of those asked for that lies in it,
// else its first.
func chooseGateways(subnets []netip.Prefix, asked []string) ([]netip.Addr, error) {
	gateways := make([]netip.Addr, len(subnets))
next:
	for _, word := range asked {
		addr, err := netip.ParseAddr(word)
		if err != nil {
			return nil, fmt.Errorf("gateway %.80q: want an address", word)
		}
		for i, p := range subnets {
			switch {
			case !isHost(addr, p):
				continue
			case gateways[i].IsValid():
				return nil, fmt.Errorf("gateway %s: %s has one already", addr, p)
			}
			gateways[i] = addr
			continue next
		}
		return nil, fmt.Errorf("gateway %s: no address for a host in %s", addr, listed(subnets))
	}
	for i, p := range subnets {
		if !gateways[i].IsValid() {
			gateways[i] = p.Addr().Next()
		}
	}
	return gateways, nil
}

// isHost reports whether a subnet has the address for a host: not its own, nor the broadcast's of IPv4.
func isHost(addr netip.Addr, p netip.Prefix) bool {
	return p.Contains(addr) && addr != p.Addr() && (addr.Is6() || addr != broadcast(p))
}

// checkOverlap refuses a subnet that is taken.
func checkOverlap(p netip.Prefix, used []usedPrefix) error {
	if i := slices.IndexFunc(used, func(u usedPrefix) bool { return !u.aside && u.prefix.Overlaps(p) }); i >= 0 {
		return fmt.Errorf("subnet %s overlaps %s: %s", p, used[i].prefix, used[i].owner)
	}
	return nil
}

// isFree reports whether nothing uses a subnet, so that it can be chosen.
func isFree(p netip.Prefix, used []usedPrefix) bool {
	return !slices.ContainsFunc(used, func(u usedPrefix) bool { return u.prefix.Overlaps(p) })
}

// freeSubnet tries the /24 networks behind the default one, then those of the two other private
// ranges (RFC 1918).
func freeSubnet(used []usedPrefix) (netip.Prefix, error) {
	for _, first := range []string{"10.20.30.0/24", "172.30.0.0/24", "192.168.128.0/24"} {
		b := netip.MustParsePrefix(first).Addr().As4()
		for third := int(b[2]); third < 256; third++ {
			b[2] = byte(third)
			p := netip.PrefixFrom(netip.AddrFrom4(b), 24)
			if isFree(p, used) {
				return p, nil
			}
		}
	}
	return netip.Prefix{}, fmt.Errorf("no free subnet: name one with -s CIDR")
}

// privateSubnet returns a /64 of a random unique local prefix (RFC 4193, section 3.2).
func privateSubnet(used []usedPrefix) (netip.Prefix, error) {
	for {
		b := [16]byte{0: 0xfd}
		if _, err := rand.Read(b[1:8]); err != nil {
			return netip.Prefix{}, err
		}
		p := netip.PrefixFrom(netip.AddrFrom16(b), 64)
		if isFree(p, used) {
			return p, nil
		}
	}
}

// parseSubnet reads a subnet that has room for a gateway and a container.
func parseSubnet(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("subnet %.80q: want an address and a length, such as 10.10.1.0/24", s)
	}
	addr, shortest, longest := p.Addr(), 8, 30
	odd := addr.IsLoopback() || addr.IsMulticast() || addr.IsUnspecified() || addr.IsLinkLocalUnicast()
	if addr.Is6() {
		shortest, longest = 16, 126
		odd = odd || addr.Is4In6()
	} else {
		odd = odd || addr.As4()[0] == 0 || addr.As4()[0] >= 240
	}
	switch {
	case p != p.Masked():
		return p, fmt.Errorf("subnet %s: the address has bits behind the length: did you mean %s", p, p.Masked())
	case p.Bits() < shortest || p.Bits() > longest:
		return p, fmt.Errorf("subnet %s: want a length from %d to %d", p, shortest, longest)
	case odd:
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
