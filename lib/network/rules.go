package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// The chains that are ours, and where they are hooked in. Policies and the rules of others are never
// touched. All rules but the hooks carry a comment that says whose they are: of a network (the name of
// its bridge), or of a container (its id).
//
//	filter  FORWARD      first  MYDOCKER-FORWARD     what passes from and to our bridges
//	                            MYDOCKER-ISOLATE     from one bridge of ours to another: nothing
//	nat     PREROUTING   last   MYDOCKER-PUBLISH     published ports, from elsewhere
//	nat     OUTPUT       last   MYDOCKER-PUBLISH     published ports, from this host
//	nat     POSTROUTING  last   MYDOCKER-MASQUERADE
//	raw     PREROUTING   first  MYDOCKER-LOOPBACK    containers never reach the host's 127.0.0.0/8
const (
	chainPrefix     = "MYDOCKER-"
	chainForward    = chainPrefix + "FORWARD"
	chainIsolate    = chainPrefix + "ISOLATE"
	chainPublish    = chainPrefix + "PUBLISH"
	chainMasquerade = chainPrefix + "MASQUERADE"
	chainLoopback   = chainPrefix + "LOOPBACK"
)

// change is one change to the firewall: a table, and the words of iptables behind "-t TABLE".
type change struct {
	table string
	words []string
}

func (c change) line() string { return strings.Join(c.words, " ") }

func newChange(table, line string) change { return change{table, strings.Fields(line)} }

// frame returns the chains and the hooks, in the order in which they can be made.
func frame() (chains, hooks []change) {
	for _, c := range [][2]string{
		{"filter", chainForward}, {"filter", chainIsolate},
		{"nat", chainPublish}, {"nat", chainMasquerade},
		{"raw", chainLoopback},
	} {
		chains = append(chains, newChange(c[0], "-N "+c[1]))
	}
	hooks = []change{
		// First: Docker and ufw drop what they don't know (policy FORWARD DROP).
		newChange("filter", "-I FORWARD -j "+chainForward),
		// 127.0.0.0/8 is published to this host alone. Its own packets take the way by OUTPUT.
		newChange("nat", "-A PREROUTING ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j "+chainPublish),
		newChange("nat", "-A OUTPUT -m addrtype --dst-type LOCAL -j "+chainPublish),
		newChange("nat", "-A POSTROUTING -j "+chainMasquerade),
		newChange("raw", "-I PREROUTING -j "+chainLoopback),
	}
	return chains, hooks
}

func networkTag(link string) string { return "mydocker/net/" + link }
func containerTag(id string) string { return "mydocker/" + id }

// networkRules returns the rules of one network.
func networkRules(link string, subnet netip.Prefix) []change {
	rule := func(table, match, target string) change {
		return newChange(table, fmt.Sprintf("%s -m comment --comment %s -j %s", match, networkTag(link), target))
	}
	from, to := " -i "+link, " -o "+link
	within := fmt.Sprintf(" -s %s", subnet)
	return []change{
		// Before all that accepts: networks are isolated from each other.
		rule("filter", "-I "+chainForward+from+" !"+to, chainIsolate),
		rule("filter", "-A "+chainIsolate+to, "DROP"),
		rule("filter", "-A "+chainForward+from, "ACCEPT"),
		rule("filter", "-A "+chainForward+to+" -m conntrack --ctstate RELATED,ESTABLISHED,DNAT", "ACCEPT"),
		// Neighbours that have a route to the containers get no further than to published ports.
		rule("filter", "-A "+chainForward+to, "DROP"),

		rule("nat", "-A "+chainMasquerade+within+" !"+to, "MASQUERADE"),
		// This host by way of 127.0.0.1: the container could not answer that address.
		rule("nat", "-A "+chainMasquerade+" -s 127.0.0.0/8"+to, "MASQUERADE"),
		// A container by way of the host: the answer must come back the same way, even where the two
		// are neighbours, or one and the same.
		rule("nat", "-A "+chainMasquerade+within+to+" -m conntrack --ctstate DNAT", "MASQUERADE"),

		// route_localnet, which the way by 127.0.0.1 needs, must not open the host's own services.
		rule("raw", "-A "+chainLoopback+" -d 127.0.0.0/8"+from, "DROP"),
	}
}

// portRules returns the rules that publish ports of container id, which has the address to. Ports that
// follow each other share one rule.
func portRules(id string, to netip.Addr, ports []state.Port) []change {
	var rules []change
	for _, r := range ranges(ports) {
		var line strings.Builder
		fmt.Fprintf(&line, "-A %s", chainPublish)
		if r.hostIP.IsValid() && !r.hostIP.IsUnspecified() {
			fmt.Fprintf(&line, " -d %s", r.hostIP)
		}
		target := fmt.Sprintf("%s:%d", to, r.container)
		ports := fmt.Sprint(r.first)
		if r.last > r.first {
			ports = fmt.Sprintf("%d:%d", r.first, r.last)
			// Behind the slash: the port that becomes the first of the range (iptables-extensions(8), DNAT).
			target = fmt.Sprintf("%s:%d-%d/%d", to, r.container, r.container+(r.last-r.first), r.first)
			if r.container == r.first {
				target = to.String()
			}
		}
		fmt.Fprintf(&line, " -p %s --dport %s -m comment --comment %s -j DNAT --to-destination %s",
			r.protocol, ports, containerTag(id), target)
		rules = append(rules, newChange("nat", line.String()))
	}
	return rules
}

// deletions turns added rules into the changes that delete them.
func deletions(rules []change) []change {
	out := make([]change, len(rules))
	for i, r := range rules {
		out[i] = change{r.table, append([]string{"-D"}, r.words[1:]...)}
	}
	return out
}

// savedRules is the output of iptables-save: per table, its lines in order.
type savedRules map[string][]string

func parseSaved(text string) savedRules {
	saved := make(savedRules)
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case strings.HasPrefix(line, "-A "), strings.HasPrefix(line, ":"):
			saved[table] = append(saved[table], line)
		}
	}
	return saved
}

func (s savedRules) hasChain(table, chain string) bool {
	return slices.ContainsFunc(s[table], func(line string) bool { return strings.HasPrefix(line, ":"+chain+" ") })
}

// hasHook reports whether the chain is jumped to as the hook does: from the same built-in one.
func (s savedRules) hasHook(hook change) bool {
	from, to := hook.words[1], hook.words[len(hook.words)-1]
	return slices.ContainsFunc(s[hook.table], func(line string) bool {
		return strings.HasPrefix(line, "-A "+from+" ") && strings.HasSuffix(line, " -j "+to)
	})
}

// tagged returns the deletions of all rules with the comment, and how many rules of ours have another.
func (s savedRules) tagged(tag string) (found []change, others int) {
	for _, table := range []string{"filter", "nat", "raw"} {
		for _, line := range s[table] {
			switch {
			case strings.Contains(line, " --comment "+tag+" ") || strings.Contains(line, ` --comment "`+tag+`" `):
				line = strings.ReplaceAll(line, `"`, "") // our comments need no quotes, some versions set them
				found = append(found, newChange(table, "-D"+strings.TrimPrefix(line, "-A")))
			case strings.HasPrefix(line, "-A "+chainPrefix):
				others++
			}
		}
	}
	return found, others
}

// install returns the changes after which the network's rules, and what holds them, are there once.
func (s savedRules) install(link string, subnet netip.Prefix) []change {
	var out []change
	chains, hooks := frame()
	for _, c := range chains {
		if !s.hasChain(c.table, c.words[1]) {
			out = append(out, c)
		}
	}
	for _, h := range hooks {
		if !s.hasHook(h) {
			out = append(out, h)
		}
	}
	old, _ := s.tagged(networkTag(link))
	return append(append(out, old...), networkRules(link, subnet)...)
}

// uninstall returns the changes after which no rule has the tag. Where it was the last one, hooks and
// chains go too.
func (s savedRules) uninstall(tag string) []change {
	out, others := s.tagged(tag)
	if others > 0 {
		return out
	}
	chains, hooks := frame()
	for _, h := range hooks {
		if s.hasHook(h) {
			out = append(out, deletions([]change{h})...)
		}
	}
	for _, c := range chains {
		if s.hasChain(c.table, c.words[1]) {
			out = append(out, newChange(c.table, "-X "+c.words[1]))
		}
	}
	return out
}

// batch renders changes as the input of iptables-restore: all of a table's are made at once, or none.
func batch(changes []change) string {
	var b strings.Builder
	for _, table := range []string{"filter", "nat", "raw"} {
		open := false
		for _, c := range changes {
			if c.table != table {
				continue
			}
			if !open {
				fmt.Fprintf(&b, "*%s\n", table)
				open = true
			}
			fmt.Fprintln(&b, c.line())
		}
		if open {
			b.WriteString("COMMIT\n")
		}
	}
	return b.String()
}
