package network

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/state"
)

// used returns the addresses that network n must not overlap: those of our other networks, and the destinations of the
// host's routes except those over its own bridge.
func (m *Manager) used(n Network) ([]link.Range, error) {
	list, _ := m.List() // an unreadable network is no reason to refuse others
	var used []link.Range
	for _, other := range list {
		if other.Name == n.Name {
			continue
		}
		for _, p := range other.IPNets {
			used = append(used, link.Range{Prefix: p, User: "network " + other.Name})
		}
	}
	routes, err := link.HostRoutes(n.Link)
	return append(used, routes...), err
}

// chooseSubnets returns the requested subnets. It adds a free /24 if none of them is IPv4 and, with v6, a private /64 if
// none is IPv6.
func chooseSubnets(requested []string, v6 bool, used []link.Range) ([]netip.Prefix, error) {
	var list []netip.Prefix
	missing := map[state.Family]bool{state.IPv4: true, state.IPv6: v6}
	for _, word := range requested {
		p, err := parseSubnet(word)
		if err == nil {
			err = checkOverlap(p, used)
		}
		if err != nil {
			return nil, err
		}
		used = append(used, link.Range{Prefix: p, User: "given twice"})
		list = append(list, p)
		missing[state.FamilyOf(p.Addr())] = false
	}
	if missing[state.IPv4] {
		p, err := freeSubnet(used)
		if err != nil {
			return nil, err
		}
		list = append([]netip.Prefix{p}, list...)
	}
	if missing[state.IPv6] {
		p, err := privateSubnet(used)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// chooseGateways returns the bridge's address in each subnet: the requested one in it, or else its first address.
func chooseGateways(subnets []netip.Prefix, requested []string) ([]netip.Addr, error) {
	gateways := make([]netip.Addr, len(subnets))
next:
	for _, word := range requested {
		addr, err := netip.ParseAddr(word)
		if err != nil {
			return nil, fmt.Errorf("gateway %.80q: want an address", word)
		}
		for i, p := range subnets {
			switch {
			case !isHost(addr, p):
				continue
			case gateways[i].IsValid():
				return nil, fmt.Errorf("gateway %s: subnet %s has one already", addr, p)
			}
			gateways[i] = addr
			continue next
		}
		return nil, fmt.Errorf("gateway %s: not a host address in %s", addr, listed(subnets))
	}
	for i, p := range subnets {
		if !gateways[i].IsValid() {
			gateways[i] = p.Addr().Next()
		}
	}
	return gateways, nil
}

// isHost reports whether an address can be a host's in a subnet: not the subnet's own, nor the IPv4 broadcast address.
func isHost(addr netip.Addr, p netip.Prefix) bool {
	return p.Contains(addr) && addr != p.Addr() && (addr.Is6() || addr != broadcast(p))
}

// checkOverlap returns an error if a subnet is in use.
func checkOverlap(p netip.Prefix, used []link.Range) error {
	if i := slices.IndexFunc(used, func(u link.Range) bool { return !u.Policy && u.Prefix.Overlaps(p) }); i >= 0 {
		return fmt.Errorf("subnet %s overlaps %s: %s", p, used[i].Prefix, used[i].User)
	}
	return nil
}

// isFree reports whether a subnet can be chosen, because nothing uses it.
func isFree(p netip.Prefix, used []link.Range) bool {
	return !slices.ContainsFunc(used, func(u link.Range) bool { return u.Prefix.Overlaps(p) })
}

// freeSubnet returns a free /24 from the default subnet on, or of the two other private ranges (RFC 1918).
func freeSubnet(used []link.Range) (netip.Prefix, error) {
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
	return netip.Prefix{}, fmt.Errorf("no free subnet: give one with -s CIDR")
}

// privateSubnet returns a /64 of a random unique local prefix (RFC 4193, section 3.2).
func privateSubnet(used []link.Range) (netip.Prefix, error) {
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

// parseSubnet parses a subnet with room for a gateway and a container.
func parseSubnet(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("subnet %.80q: want an address and a prefix length, such as 10.10.1.0/24", s)
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
		return p, fmt.Errorf("subnet %s: the address has bits after the prefix: did you mean %s", p, p.Masked())
	case p.Bits() < shortest || p.Bits() > longest:
		return p, fmt.Errorf("subnet %s: want a prefix length from %d to %d", p, shortest, longest)
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
