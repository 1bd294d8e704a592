package state

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// The values of [Net].Mode. The last two are followed by an id or a path.
const (
	ModeBridge    = "bridge"
	ModeNone      = "none"
	ModeHost      = "host"
	ModeContainer = "container:"
	ModePath      = "ns:"
)

// Family is an address family.
type Family int

// The address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Families lists both address families.
func Families() [2]Family { return [...]Family{IPv4, IPv6} }

// FamilyOf returns the family of an address.
func FamilyOf(addr netip.Addr) Family {
	if addr.Is6() {
		return IPv6
	}
	return IPv4
}

// Has reports whether the address is of the family.
func (f Family) Has(addr netip.Addr) bool { return FamilyOf(addr) == f }

// OwnsNamespace reports whether the container has a network namespace of its own.
func (n Net) OwnsNamespace() bool { return n.Mode == ModeBridge || n.Mode == ModeNone }

// Namespace returns the path of the container's own network namespace. dir is the state directory.
func (n Net) Namespace(dir Dir, id string) string { return cmp.Or(n.NetNS, dir.NetNS(id)) }

// Outlet returns the index of the endpoint that has the default route and the published ports of a family: the first
// one in a network that is not internal. It returns -1 if there is none.
func (n Net) Outlet(f Family) int {
	return slices.IndexFunc(n.Endpoints, func(e Endpoint) bool { return !e.Internal && e.AddressOf(f).IsValid() })
}

// EndpointIn returns the index of the endpoint in a network, -1 if there is none.
func (n Net) EndpointIn(network string) int {
	return slices.IndexFunc(n.Endpoints, func(e Endpoint) bool { return e.Network == network })
}

// Without returns the record without endpoint i.
func (n Net) Without(i int) Net {
	n.Endpoints = slices.Delete(slices.Clone(n.Endpoints), i, i+1)
	return n
}

// Addresses returns the addresses of all endpoints.
func (n Net) Addresses() []netip.Addr {
	var list []netip.Addr
	for _, e := range n.Endpoints {
		for _, addr := range e.Addresses() {
			list = append(list, addr.Addr())
		}
	}
	return list
}

// AddressOf returns the endpoint's address of a family, the zero Prefix if it has none.
func (e Endpoint) AddressOf(f Family) netip.Prefix {
	if f == IPv6 {
		return e.Address6
	}
	return e.Address
}

// Addresses returns the endpoint's addresses, IPv4 first.
func (e Endpoint) Addresses() []netip.Prefix {
	if e.Address6.IsValid() {
		return []netip.Prefix{e.Address, e.Address6}
	}
	return []netip.Prefix{e.Address}
}

// Bracketed formats an address for use before a port: an IPv6 address in brackets.
func Bracketed(addr netip.Addr) string {
	if addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return addr.String()
}

// String formats the port as in the document's annotation: "127.0.0.1:8036->3306/tcp".
func (p Port) String() string {
	s := fmt.Sprintf("%d->%d/%s", p.HostPort, p.ContainerPort, p.Protocol)
	if p.HostIP.IsValid() {
		s = Bracketed(p.HostIP) + ":" + s
	}
	return s
}
