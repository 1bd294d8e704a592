package network

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseSubnet(t *testing.T) {
	for in, want := range map[string]string{
		"10.10.1.0/24":     "",
		"192.168.0.0/30":   "",
		"10.0.0.0/8":       "",
		"":                 "want an address and a length",
		"x":                "want an address and a length",
		"10.0.0.0":         "want an address and a length",
		"10.0.0.0/33":      "want an address and a length",
		"300.0.0.0/8":      "want an address and a length",
		"10.0.0.0/31":      "want a length from 8 to 30",
		"10.0.0.1/32":      "want a length from 8 to 30",
		"0.0.0.0/0":        "want a length from 8 to 30",
		"10.10.1.7/24":     "did you mean 10.10.1.0/24",
		"127.0.0.0/8":      "not for hosts",
		"224.0.0.0/24":     "not for hosts",
		"255.255.255.0/24": "not for hosts",
		"0.1.0.0/16":       "not for hosts",
		"fd00::/64":        "want an IPv4 subnet",
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
	used := func(prefixes ...string) (list []usedPrefix) {
		for _, p := range prefixes {
			list = append(list, usedPrefix{netip.MustParsePrefix(p), "a route of this host on eth0"})
		}
		return list
	}
	for _, c := range []struct {
		asked string
		used  []usedPrefix
		want  string
	}{
		{"10.10.1.0/24", used("10.20.30.0/24"), "10.10.1.0/24"},
		{"10.10.1.0/24", used("10.10.0.0/16"), "subnet 10.10.1.0/24 overlaps 10.10.0.0/16: a route of this host on eth0"},
		{"10.10.0.0/16", used("10.10.1.4/32"), "subnet 10.10.0.0/16 overlaps 10.10.1.4/32: a route of this host on eth0"},
		{"", nil, "10.20.30.0/24"},
		{"", used("10.20.30.0/24"), "10.20.31.0/24"},
		{"", used("10.20.30.0/24", "10.20.31.128/25"), "10.20.32.0/24"},
		{"", used("10.0.0.0/8"), "172.30.0.0/24"},
		{"", used("10.0.0.0/8", "172.16.0.0/12"), "192.168.128.0/24"},
		{"", used("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"), "no free subnet: name one with -s CIDR"},
	} {
		var asked []string
		if c.asked != "" {
			asked = []string{c.asked}
		}
		p, err := chooseSubnet(asked, c.used)
		got := p.String()
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q beside %v: got %s, want %s", c.asked, c.used, got, c.want)
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
