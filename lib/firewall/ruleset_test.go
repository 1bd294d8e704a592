package firewall

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

// lacks notices each missing rule and jump, and each rule of another program before a hook that must come first. It reports
// nothing if the rules are whole.
func TestLacks(t *testing.T) {
	bridges := []Bridge{subnet1, dual, closed}
	for _, f := range state.Families() {
		ports := portRulesTo(map[state.Family]netip.Addr{state.IPv4: netip.MustParseAddr("10.10.2.2"), state.IPv6: netip.MustParseAddr("fd00:2::2")}[f],
			webID, []state.Port{port("", 80, 80, "tcp"), port("", 443, 443, "tcp")})
		published := map[string]int{webID: len(ports)}
		whole := savedAfter(foreign, parseSaved(foreign).install(f, bridges, map[string][]change{webID: ports}, false))
		if lack := whole.ruleset().lacks(f, bridges, published); lack != "" {
			t.Errorf("%s: %s, but nothing is missing", toolOf(f), lack)
		}
		noticed := func(what string, saved savedRules) {
			t.Helper()
			if saved.ruleset().lacks(f, bridges, published) == "" {
				t.Errorf("%s: not noticed: %s", toolOf(f), what)
			}
			repaired := savedAfterChanges(saved, saved.install(f, bridges, map[string][]change{webID: ports}, false))
			if lack := repaired.ruleset().lacks(f, bridges, published); lack != "" {
				t.Errorf("%s: %s: not repaired: %s", toolOf(f), what, lack)
			}
		}
		for _, table := range tables() {
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

// savedAfterChanges is savedAfter for changes that also delete.
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

// A network is closed in a family in which it has no addresses.
func TestClosedFamilies(t *testing.T) {
	for _, n := range []Bridge{subnet1, closed} {
		got := batch(networkRules(state.IPv6, n))
		for _, want := range []string{
			"*mangle\n-A MYDOCKER-FORWARD -i " + n.Link + " ! -o " + n.Link + " -m comment --comment mydocker/net/" + n.Link + " -j DROP",
			"-A MYDOCKER-FORWARD ! -i " + n.Link + " -o " + n.Link + " -m comment --comment mydocker/net/" + n.Link + " -j DROP\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("network %s lacks the rule\n%s\nin\n%s", n.Network, want, got)
			}
		}
		if strings.Contains(got, "MASQUERADE") || strings.Contains(got, "ctstate") {
			t.Errorf("network %s has a way out:\n%s", n.Network, got)
		}
	}
}

func TestParseOwner(t *testing.T) {
	for line, want := range map[string]Owner{
		`-A MYDOCKER-FORWARD -i a -m comment --comment "mydocker/net/a" -j ACCEPT`:                                           {Network: true, Name: "a"},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment mydocker/0123456789ab -j DNAT --to-destination 10.0.0.2:80`:         {Name: webID, To: netip.MustParseAddr("10.0.0.2")},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment "mydocker/0123456789ab" -j DNAT --to-destination 10.0.0.2:80-90/70`: {Name: webID, To: netip.MustParseAddr("10.0.0.2")},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment "mydocker/0123456789ab" -j DNAT --to-destination 10.0.0.2`:          {Name: webID, To: netip.MustParseAddr("10.0.0.2")},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment "mydocker/0123456789ab" -j DNAT --to-destination [fd00::2]:80`:      {Name: webID, To: netip.MustParseAddr("fd00::2")},
		`-A MYDOCKER-PUBLISH -p tcp -m comment --comment "mydocker/0123456789ab" -j DNAT --to-destination fd00::2`:           {Name: webID, To: netip.MustParseAddr("fd00::2")},
		`-A FORWARD -m comment --comment "another" -j ACCEPT`:                                                                {},
		`-A FORWARD -j MYDOCKER-FORWARD`: {},
	} {
		if got := parseOwner(line); got != want {
			t.Errorf("%s: got %v, want %v", line, got, want)
		}
	}
}
