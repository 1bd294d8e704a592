package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/link"
)

func TestParseSubnet(t *testing.T) {
	for in, want := range map[string]string{
		"10.10.1.0/24":     "",
		"192.168.0.0/30":   "",
		"10.0.0.0/8":       "",
		"":                 "want an address and a prefix length",
		"x":                "want an address and a prefix length",
		"10.0.0.0":         "want an address and a prefix length",
		"10.0.0.0/33":      "want an address and a prefix length",
		"300.0.0.0/8":      "want an address and a prefix length",
		"10.0.0.0/31":      "want a prefix length from 8 to 30",
		"10.0.0.1/32":      "want a prefix length from 8 to 30",
		"0.0.0.0/0":        "want a prefix length from 8 to 30",
		"10.10.1.7/24":     "did you mean 10.10.1.0/24",
		"127.0.0.0/8":      "not for hosts",
		"224.0.0.0/24":     "not for hosts",
		"255.255.255.0/24": "not for hosts",
		"0.1.0.0/16":       "not for hosts",
		"fd00::/64":        "",
		"2001:db8::/126":   "",
		"fd00::/127":       "want a prefix length from 16 to 126",
		"fe80::/64":        "not for hosts",
		"::1/128":          "want a prefix length",
		"ff02::/64":        "not for hosts",
		"fd00::1/64":       "did you mean fd00::/64",
		"::ffff:0:0/96":    "not for hosts",
	} {
		_, err := parseSubnet(in)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", in, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v; want %q", in, err, want)
		}
	}
}

func TestChooseSubnet(t *testing.T) {
	used := func(prefixes ...string) (list []link.Range) {
		for _, p := range prefixes {
			list = append(list, link.Range{Prefix: netip.MustParsePrefix(p), User: "a route of this host on eth0"})
		}
		return list
	}
	for _, c := range []struct {
		asked string
		used  []link.Range
		want  string
	}{
		{"10.10.1.0/24", used("10.20.30.0/24"), "10.10.1.0/24"},
		{"10.10.1.0/24", used("10.10.0.0/16"), "subnet 10.10.1.0/24 overlaps 10.10.0.0/16: a route of this host on eth0"},
		{"10.10.0.0/16", used("10.10.1.4/32"), "subnet 10.10.0.0/16 overlaps 10.10.1.4/32: a route of this host on eth0"},
		{"10.10.1.0/24 10.10.2.0/24 fd00::/64", nil, "10.10.1.0/24, 10.10.2.0/24, fd00::/64"},
		{"10.10.1.0/24 10.10.1.128/25", nil, "subnet 10.10.1.128/25 overlaps 10.10.1.0/24: given twice"},
		{"fd00::/64", nil, "10.20.30.0/24, fd00::/64"},
		{"", nil, "10.20.30.0/24"},
		{"", used("10.20.30.0/24"), "10.20.31.0/24"},
		{"", used("10.20.30.0/24", "10.20.31.128/25"), "10.20.32.0/24"},
		{"", used("10.0.0.0/8"), "172.30.0.0/24"},
		{"", used("10.0.0.0/8", "172.16.0.0/12"), "192.168.128.0/24"},
		{"", used("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"), "no free subnet: give one with -s CIDR"},
	} {
		asked := strings.Fields(c.asked)
		p, err := chooseSubnets(asked, false, c.used)
		got := listed(p)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q with %v in use: got %s, want %s", c.asked, c.used, got, c.want)
		}
	}
}

// --ipv6 without an IPv6 subnet chooses a different private one each time.
func TestPrivateSubnet(t *testing.T) {
	seen := make(map[netip.Prefix]bool)
	for range 20 {
		p, err := chooseSubnets([]string{"10.10.1.0/24"}, true, nil)
		if err != nil || len(p) != 2 || p[1].Bits() != 64 || p[1].Addr().As16()[0] != 0xfd || p[1] != p[1].Masked() || seen[p[1]] {
			t.Fatalf("got %v, %v", p, err)
		}
		seen[p[1]] = true
	}
}

func TestChooseGateways(t *testing.T) {
	subnets := []netip.Prefix{netip.MustParsePrefix("10.10.1.0/24"), netip.MustParsePrefix("fd00::/64")}
	for asked, want := range map[string]string{
		"":                    "10.10.1.1, fd00::1",
		"10.10.1.254":         "10.10.1.254, fd00::1",
		"fd00::ff 10.10.1.7":  "10.10.1.7, fd00::ff",
		"10.10.2.1":           "gateway 10.10.2.1: not a host address in 10.10.1.0/24, fd00::/64",
		"10.10.1.255":         "gateway 10.10.1.255: not a host address in 10.10.1.0/24, fd00::/64",
		"10.10.1.0":           "gateway 10.10.1.0: not a host address in 10.10.1.0/24, fd00::/64",
		"10.10.1.7 10.10.1.8": "gateway 10.10.1.8: subnet 10.10.1.0/24 has one already",
		"gate":                `gateway "gate": want an address`,
	} {
		addrs, err := chooseGateways(subnets, strings.Fields(asked))
		got := listed(addrs)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", asked, got, want)
		}
	}
}

func TestBroadcast(t *testing.T) {
	for in, want := range map[string]string{
		"10.10.1.0/24": "10.10.1.255", "10.0.0.0/8": "10.255.255.255", "192.168.1.4/30": "192.168.1.7", "10.1.0.0/20": "10.1.15.255",
	} {
		if got := broadcast(netip.MustParsePrefix(in)); got.String() != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// A subnet in a policy routing table can be requested, but is not chosen.
func TestRoutesOfOtherTables(t *testing.T) {
	used := []link.Range{{Prefix: defaultSubnet(), User: "a route of this host in table 99", Policy: true}}
	if err := checkOverlap(defaultSubnet(), used); err != nil {
		t.Error(err)
	}
	if p, err := freeSubnet(used); err != nil || p.String() != "10.20.31.0/24" {
		t.Errorf("chose %s, %v", p, err)
	}
}
