package link

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

var (
	only4 = []netip.Prefix{netip.MustParsePrefix("10.10.1.1/24")}
	dual  = []netip.Prefix{netip.MustParsePrefix("10.10.2.1/24"), netip.MustParsePrefix("fd00:2::1/64")}
)

// Fault notices each difference.
func TestFault(t *testing.T) {
	whole := func(addresses []netip.Prefix) *Bridge {
		b := &Bridge{
			Link:      &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br", Flags: net.FlagUp}},
			addresses: addresses,
			conf4:     make([]byte, 4*32), conf6: make([]byte, 4*50),
		}
		set(b.conf4, conf4Forwarding, 1)
		set(b.conf4, conf4RouteLocalnet, 1)
		set(b.conf6, conf6Forwarding, 1)
		if len(addresses) == 1 {
			set(b.conf6, conf6Disable, 1)
		}
		return b
	}
	for _, c := range []struct {
		addresses []netip.Prefix
		what      string
		spoil     func(*Bridge)
	}{
		{only4, "the bridge is down", func(b *Bridge) { b.Attrs().Flags = 0 }},
		{only4, "the bridge has lost an address", func(b *Bridge) { b.addresses = nil }},
		{dual, "the bridge has lost an address", func(b *Bridge) { b.addresses = b.addresses[:1] }},
		{only4, "ip_forward is 0", func(b *Bridge) { set(b.conf4, conf4Forwarding, 0) }},
		{only4, "route_localnet is 0", func(b *Bridge) { set(b.conf4, conf4RouteLocalnet, 0) }},
		{only4, "disable_ipv6 is 0", func(b *Bridge) { set(b.conf6, conf6Disable, 0) }},
		{dual, "disable_ipv6 is 1", func(b *Bridge) { set(b.conf6, conf6Disable, 1) }},
		{dual, "accept_ra is 2", func(b *Bridge) { set(b.conf6, conf6AcceptRA, 2) }},
		{dual, "all.forwarding is 0", func(b *Bridge) { set(b.conf6, conf6Forwarding, 0) }},
		{only4, "", func(b *Bridge) { b.conf6 = nil }}, // a host without IPv6
		{dual, "", func(*Bridge) {}},
	} {
		b := whole(c.addresses)
		c.spoil(b)
		if got := b.Fault(c.addresses); (got == "") != (c.what == "") || !strings.Contains(got, c.what) {
			t.Errorf("%v: got %q, want %q", c.addresses, got, c.what)
		}
	}
}

func set(list []byte, at int, value uint32) { binary.NativeEndian.PutUint32(list[4*at:], value) }
