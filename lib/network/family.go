package network

import (
	"net/netip"

	"github.com/weikeit/mydocker/lib/state"
)

// family is one of the two kinds of addresses. Each has rules of its own.
type family int

const (
	ipv4 family = 4
	ipv6 family = 6
)

var families = []family{ipv4, ipv6}

func familyOf(addr netip.Addr) family {
	if addr.Is6() {
		return ipv6
	}
	return ipv4
}

// has reports whether the address is of the family.
func (f family) has(addr netip.Addr) bool { return familyOf(addr) == f }

// address returns the endpoint's address of the family; the zero Prefix where it has none.
func (f family) address(e state.Endpoint) netip.Prefix {
	if f == ipv6 {
		return e.Address6
	}
	return e.Address
}

// addresses returns all addresses of an endpoint.
func addresses(e state.Endpoint) []netip.Prefix {
	if e.Address6.IsValid() {
		return []netip.Prefix{e.Address, e.Address6}
	}
	return []netip.Prefix{e.Address}
}

// host returns the address as it stands before a port: that of IPv6 in brackets.
func host(addr netip.Addr) string {
	if addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return addr.String()
}
