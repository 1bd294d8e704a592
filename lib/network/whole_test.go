package network

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/state"
)

var dual = Network{
	Name: "dual", Link: "dual", Created: time.Time{},
	IPNets:   []netip.Prefix{netip.MustParsePrefix("10.10.2.0/24"), netip.MustParsePrefix("fd00:2::/64")},
	Gateways: []netip.Addr{netip.MustParseAddr("10.10.2.1"), netip.MustParseAddr("fd00:2::1")},
}

var closed = Network{
	Name: "closed", Link: "closed", Internal: true,
	IPNets: []netip.Prefix{netip.MustParsePrefix("10.10.3.0/24")}, Gateways: []netip.Addr{netip.MustParseAddr("10.10.3.1")},
}

// Each rule and jump that goes, and each rule of others that comes before ours where ours are to stand first, is
// noticed; and nothing is said of what is whole.
func TestLacks(t *testing.T) {
	networks := []Network{subnet1, dual, closed}
	for _, f := range families {
		ports := portRules(webID, map[family]netip.Addr{ipv4: netip.MustParseAddr("10.10.2.2"), ipv6: netip.MustParseAddr("fd00:2::2")}[f],
			[]state.Port{port("", 80, 80, "tcp"), port("", 443, 443, "tcp")})
		published := map[string]int{webID: len(ports)}
		whole := savedAfter(foreign, parseSaved(foreign).install(f, networks, map[string][]change{webID: ports}, false))
		if lack := whole.ruleset().lacks(f, networks, published); lack != "" {
			t.Errorf("%s: %s, and all is there", f.tool(), lack)
		}
		noticed := func(what string, saved savedRules) {
			t.Helper()
			if saved.ruleset().lacks(f, networks, published) == "" {
				t.Errorf("%s: not noticed: %s", f.tool(), what)
			}
			mended := savedAfterChanges(saved, saved.install(f, networks, map[string][]change{webID: ports}, false))
			if lack := mended.ruleset().lacks(f, networks, published); lack != "" {
				t.Errorf("%s: %s: not mended: %s", f.tool(), what, lack)
			}
		}
		for _, table := range tables {
			for i, line := range whole[table] {
				if strings.HasPrefix(line, "-A ") && strings.Contains(line, chainPrefix) && !strings.Contains(line, "not -j") {
					less := clone(whole)
					less[table] = slices.Delete(less[table], i, i+1)
					noticed(line+" is gone", less)
				}
			}
			less := clone(whole)
			delete(less, table)
			noticed("the table "+table+" is empty", less)
		}
		for _, at := range []place{{"filter", "FORWARD"}, {"mangle", "FORWARD"}, {"raw", "PREROUTING"}} {
			more := clone(whole)
			more[at.table] = slices.Insert(more[at.table], 0, "-A "+at.chain+" -j ACCEPT")
			noticed("another rule comes first in "+at.table+" "+at.chain, more)
		}
	}
}

func clone(s savedRules) savedRules {
	c := make(savedRules)
	for table, lines := range s {
		c[table] = slices.Clone(lines)
	}
	return c
}

// savedAfterChanges is savedAfter for changes that delete, too.
func savedAfterChanges(before savedRules, changes []change) savedRules {
	saved := clone(before)
	for _, c := range changes {
		if c.words[0] != "-D" {
			saved = addTo(saved, []change{c})
			continue
		}
		i := slices.IndexFunc(saved[c.table], func(line string) bool {
			return strings.ReplaceAll(line, `"`, "") == "-A "+strings.Join(c.words[1:], " ")
		})
		if i >= 0 {
			saved[c.table] = slices.Delete(saved[c.table], i, i+1)
		}
	}
	return saved
}

// A network is closed in a family of which it has no addresses.
func TestClosedFamilies(t *testing.T) {
	for _, n := range []Network{subnet1, closed} {
		got := batch(ipv6.networkRules(n))
		for _, want := range []string{
			"*mangle\n-A MYDOCKER-FORWARD -i " + n.Link + " ! -o " + n.Link + " -m comment --comment mydocker/net/" + n.Link + " -j DROP",
			"-A MYDOCKER-FORWARD ! -i " + n.Link + " -o " + n.Link + " -m comment --comment mydocker/net/" + n.Link + " -j DROP\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("network %s has not the rule\n%s\namong\n%s", n.Name, want, got)
			}
		}
		if strings.Contains(got, "MASQUERADE") || strings.Contains(got, "ctstate") {
			t.Errorf("network %s has a way out:\n%s", n.Name, got)
		}
	}
}

func TestOwnerOf(t *testing.T) {
	for line, want := range map[string]owner{
		`-A MYDOCKER-FORWARD -i a -m comment --comment "mydocker/net/a" -j ACCEPT`:                                           {network: true, name: "a"},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment mydocker/0123456789ab -j DNAT --to-destination 10.0.0.2:80`:         {name: webID, to: netip.MustParseAddr("10.0.0.2")},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment "mydocker/0123456789ab" -j DNAT --to-destination 10.0.0.2:80-90/70`: {name: webID, to: netip.MustParseAddr("10.0.0.2")},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment "mydocker/0123456789ab" -j DNAT --to-destination 10.0.0.2`:          {name: webID, to: netip.MustParseAddr("10.0.0.2")},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment "mydocker/0123456789ab" -j DNAT --to-destination [fd00::2]:80`:      {name: webID, to: netip.MustParseAddr("fd00::2")},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment "mydocker/0123456789ab" -j DNAT --to-destination fd00::2`:           {name: webID, to: netip.MustParseAddr("fd00::2")},
		`-A FORWARD -m comment --comment "another" -j ACCEPT`:                                                                {},
		`-A FORWARD -j MYDOCKER-FORWARD`: {},
	} {
		if got := ownerOf(line); got != want {
			t.Errorf("%s: got %v, want %v", line, got, want)
		}
	}
}

// What a bridge must be like is looked at whole.
func TestFault(t *testing.T) {
	whole := func(n Network) *bridge {
		b := &bridge{
			link:  &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: n.Link, Flags: net.FlagUp}},
			conf4: make([]byte, 4*32), conf6: make([]byte, 4*50),
		}
		for i, g := range n.Gateways {
			b.addresses = append(b.addresses, netip.PrefixFrom(g, n.IPNets[i].Bits()))
		}
		set(b.conf4, conf4Forwarding, 1)
		set(b.conf4, conf4RouteLocalnet, 1)
		set(b.conf6, conf6Forwarding, 1)
		if !n.has6() {
			set(b.conf6, conf6Disable, 1)
		}
		return b
	}
	for _, c := range []struct {
		n     Network
		what  string
		spoil func(*bridge)
	}{
		{subnet1, "the bridge is down", func(b *bridge) { b.link.Attrs().Flags = 0 }},
		{subnet1, "the bridge has lost an address", func(b *bridge) { b.addresses = nil }},
		{dual, "the bridge has lost an address", func(b *bridge) { b.addresses = b.addresses[:1] }},
		{subnet1, "ip_forward is 0", func(b *bridge) { set(b.conf4, conf4Forwarding, 0) }},
		{subnet1, "route_localnet is 0", func(b *bridge) { set(b.conf4, conf4RouteLocalnet, 0) }},
		{subnet1, "disable_ipv6 is 0", func(b *bridge) { set(b.conf6, conf6Disable, 0) }},
		{dual, "disable_ipv6 is 1", func(b *bridge) { set(b.conf6, conf6Disable, 1) }},
		{dual, "accept_ra is 2", func(b *bridge) { set(b.conf6, conf6AcceptRA, 2) }},
		{dual, "all.forwarding is 0", func(b *bridge) { set(b.conf6, conf6Forwarding, 0) }},
		{subnet1, "", func(b *bridge) { b.conf6 = nil }}, // a host without IPv6
		{dual, "", func(*bridge) {}},
	} {
		b := whole(c.n)
		c.spoil(b)
		if got := b.fault(c.n); (got == "") != (c.what == "") || !strings.Contains(got, c.what) {
			t.Errorf("network %s: got %q, want %q", c.n.Name, got, c.what)
		}
	}
}

func set(list []byte, at int, value uint32) { binary.NativeEndian.PutUint32(list[4*at:], value) }
