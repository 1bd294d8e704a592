package network

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// The chains that are ours, and where they are hooked in, the same in both families. Policies and the rules of
// others are never touched. All rules but the hooks carry a comment that says whose they are: of a network (the
// name of its bridge), or of a container (its id).
//
//	mangle  FORWARD      first  MYDOCKER-USER        the user's own exceptions from what follows, in the same way
//	                     then   MYDOCKER-FORWARD     what must not pass from and to our bridges
//	                            MYDOCKER-ISOLATE     from one bridge of ours to another: nothing
//	filter  FORWARD      first  MYDOCKER-USER        the user's own rules: we add none, and remove none
//	                     then   MYDOCKER-FORWARD     what passes from and to our bridges
//	                            MYDOCKER-ISOLATE     as above
//	nat     PREROUTING   last   MYDOCKER-PUBLISH     published ports, from elsewhere
//	nat     OUTPUT       last   MYDOCKER-PUBLISH     published ports, from this host
//	nat     POSTROUTING  last   MYDOCKER-MASQUERADE
//	raw     PREROUTING   first  MYDOCKER-LOOPBACK    containers never reach the host's 127.0.0.0/8
//
// Isolation is decided twice. In the table filter other programs put rules that accept before ours, at any time (Docker
// where its daemon starts, podman, ufw, firewalld). The table mangle comes before filter and has no such rules: a
// packet that is dropped there is accepted by none of them. In filter the same packets are dropped once more, for as
// long as either table is flushed.
//
// Every network has its rules in both families. One without addresses of a family is closed in it, as an internal network
// is: containers can write packets of any kind, and a host forwards them by all its links or none.
const (
	chainPrefix     = "MYDOCKER-"
	chainUser       = chainPrefix + "USER"
	chainForward    = chainPrefix + "FORWARD"
	chainIsolate    = chainPrefix + "ISOLATE"
	chainPublish    = chainPrefix + "PUBLISH"
	chainMasquerade = chainPrefix + "MASQUERADE"
	chainLoopback   = chainPrefix + "LOOPBACK"
)

// tables are those that we have rules in.
var tables = []string{"filter", "mangle", "nat", "raw"}

// change is one change to the firewall: a table, and the words of iptables behind "-t TABLE".
type change struct {
	table string
	words []string
}

func (c change) line() string { return strings.Join(c.words, " ") }

// target returns the chain that a hook jumps to.
func (c change) target() string { return c.words[len(c.words)-1] }

func (c change) same(other change) bool {
	return c.table == other.table && slices.Equal(c.words, other.words)
}

func newChange(table, line string) change { return change{table, strings.Fields(line)} }

// loopback is this host alone: what is published there answers nobody else.
func (f family) loopback() string {
	if f == ipv6 {
		return "::1"
	}
	return "127.0.0.0/8"
}

// frame returns the chains and the hooks of a family, in the order in which they can be made.
func (f family) frame() (chains, hooks []change) {
	for _, c := range [][2]string{
		{"mangle", chainUser}, {"mangle", chainForward}, {"mangle", chainIsolate},
		{"filter", chainUser}, {"filter", chainForward}, {"filter", chainIsolate},
		{"nat", chainPublish}, {"nat", chainMasquerade},
		{"raw", chainLoopback},
	} {
		chains = append(chains, newChange(c[0], "-N "+c[1]))
	}
	hooks = []change{
		// First: Docker and ufw drop what they don't know (policy FORWARD DROP). Before it, as each is put on
		// top: the user's.
		newChange("mangle", "-I FORWARD -j "+chainForward),
		newChange("mangle", "-I FORWARD -j "+chainUser),
		newChange("filter", "-I FORWARD -j "+chainForward),
		newChange("filter", "-I FORWARD -j "+chainUser),
		// This host's own packets take the way by OUTPUT.
		newChange("nat", "-A PREROUTING ! -d "+f.loopback()+" -m addrtype --dst-type LOCAL -j "+chainPublish),
		newChange("nat", "-A OUTPUT -m addrtype --dst-type LOCAL -j "+chainPublish),
		newChange("nat", "-A POSTROUTING -j "+chainMasquerade),
		newChange("raw", "-I PREROUTING -j "+chainLoopback),
	}
	return chains, hooks
}

const tagPrefix = "mydocker/"

func networkTag(link string) string { return tagPrefix + "net/" + link }
func containerTag(id string) string { return tagPrefix + id }

// networkRules returns the rules of one network in a family.
func (f family) networkRules(n Network) []change {
	rule := func(table, match, target string) change {
		return newChange(table, fmt.Sprintf("%s -m comment --comment %s -j %s", match, networkTag(n.Link), target))
	}
	from, to := " -i "+n.Link, " -o "+n.Link
	// route_localnet, which the way by 127.0.0.1 needs, must not open the host's own services.
	guard := rule("raw", "-A "+chainLoopback+" -d "+f.loopback()+from, "DROP")
	if n.Internal || len(n.subnets(f)) == 0 {
		return []change{
			rule("mangle", "-A "+chainForward+from+" !"+to, "DROP"),
			rule("mangle", "-A "+chainForward+" !"+from+to, "DROP"),
			rule("filter", "-I "+chainForward+from+" !"+to, "DROP"),
			rule("filter", "-I "+chainForward+" !"+from+to, "DROP"),
			rule("filter", "-A "+chainForward+from, "ACCEPT"),
			guard,
		}
	}
	rules := []change{
		rule("mangle", "-A "+chainForward+from+" !"+to, chainIsolate),
		rule("mangle", "-A "+chainIsolate+to, "DROP"),
		rule("mangle", "-A "+chainForward+" !"+from+to+" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT", "DROP"),

		// Before all that accepts: networks are isolated from each other.
		rule("filter", "-I "+chainForward+from+" !"+to, chainIsolate),
		rule("filter", "-A "+chainIsolate+to, "DROP"),
		rule("filter", "-A "+chainForward+from, "ACCEPT"),
		rule("filter", "-A "+chainForward+to+" -m conntrack --ctstate RELATED,ESTABLISHED,DNAT", "ACCEPT"),
		// Neighbours that have a route to the containers get no further than to published ports.
		rule("filter", "-A "+chainForward+to, "DROP"),

		// This host by way of 127.0.0.1: the container could not answer that address.
		rule("nat", "-A "+chainMasquerade+" -s "+f.loopback()+to, "MASQUERADE"),
		guard,
	}
	for _, subnet := range n.subnets(f) {
		within := " -s " + subnet.String()
		rules = append(rules,
			rule("nat", "-A "+chainMasquerade+within+" !"+to, "MASQUERADE"),
			// A container by way of the host: the answer must come back the same way, even where the two
			// are neighbours, or one and the same.
			rule("nat", "-A "+chainMasquerade+within+to+" -m conntrack --ctstate DNAT", "MASQUERADE"))
	}
	return rules
}

// portRules returns the rules that publish ports of container id, which has the address to, in the family of
// that. Ports that follow each other share one rule.
func portRules(id string, to netip.Addr, ports []state.Port) []change {
	var rules []change
	f := familyOf(to)
	for _, r := range ranges(ports) {
		if r.hostIP.IsValid() && !f.has(r.hostIP) {
			continue
		}
		var line strings.Builder
		fmt.Fprintf(&line, "-A %s", chainPublish)
		if r.hostIP.IsValid() && !r.hostIP.IsUnspecified() {
			fmt.Fprintf(&line, " -d %s", r.hostIP)
		}
		target := fmt.Sprintf("%s:%d", host(to), r.container)
		ports := fmt.Sprint(r.first)
		if r.last > r.first {
			ports = fmt.Sprintf("%d:%d", r.first, r.last)
			// Behind the slash: the port that becomes the first of the range (iptables-extensions(8), DNAT).
			target = fmt.Sprintf("%s:%d-%d/%d", host(to), r.container, r.container+(r.last-r.first), r.first)
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

// ours returns the deletions of all rules of the networks, of ports that lead into them, and of bridges that are gone; the
// hooks are not counted. The firewall is that of the whole host: other rules are of another state directory.
func (s savedRules) ours(networks []Network) []change {
	var found []change
	for _, table := range tables {
		for _, line := range s[table] {
			o := ownerOf(line)
			if o.name == "" || !strings.HasPrefix(line, "-A "+chainPrefix) {
				continue
			}
			ours := inSubnets(o.to, networks)
			if o.network {
				ours = slices.ContainsFunc(networks, func(n Network) bool { return n.Link == o.name }) || isGone(o.name)
			}
			if ours {
				line = strings.ReplaceAll(line, `"`, "")
				found = append(found, newChange(table, "-D"+strings.TrimPrefix(line, "-A")))
			}
		}
	}
	return found
}

// isGone reports whether there is no link of that name.
func isGone(name string) bool {
	link, err := findLink(name)
	return link == nil && err == nil
}

func (s savedRules) hasChain(table, chain string) bool {
	return slices.ContainsFunc(s[table], func(line string) bool { return strings.HasPrefix(line, ":"+chain+" ") })
}

// hasHook reports whether the chain is jumped to as the hook does: from the same built-in one, and by all packets
// where the hook is for all.
func (s savedRules) hasHook(hook change) bool {
	from, to := hook.words[1], hook.target()
	if hook.words[0] == "-I" {
		return slices.Contains(s[hook.table], "-A "+from+" -j "+to)
	}
	return slices.ContainsFunc(s[hook.table], func(line string) bool {
		return strings.HasPrefix(line, "-A "+from+" ") && strings.HasSuffix(line, " -j "+to)
	})
}

// tagged returns the deletions of all rules with the comment, and how many rules of ours have another.
func (s savedRules) tagged(tag string) (found []change, others int) {
	for _, table := range tables {
		for _, line := range s[table] {
			switch {
			case strings.Contains(line, " --comment "+tag+" ") || strings.Contains(line, ` --comment "`+tag+`" `):
				line = strings.ReplaceAll(line, `"`, "") // our comments need no quotes, some versions set them
				found = append(found, newChange(table, "-D"+strings.TrimPrefix(line, "-A")))
			case strings.HasPrefix(line, "-A "+chainPrefix) && !strings.HasPrefix(line, "-A "+chainUser+" "):
				others++
			}
		}
	}
	return found, others
}

// install returns the changes after which the rules of the networks and of the published ports, and what holds them, are
// there once: all anew, or those alone that are not as they should be. Of ports, published are the rules by the
// container's id.
func (s savedRules) install(f family, networks []Network, published map[string][]change, anew bool) []change {
	out := s.complete(f)
	if anew {
		out = append(out, s.ours(networks)...)
	}
	found := s.ruleset().counts()
	put := func(tag string, rules []change) {
		switch {
		case anew:
			out = append(out, rules...)
		case !hasAll(found, rules, tag):
			old, _ := s.tagged(tag)
			out = append(append(out, old...), rules...)
		}
	}
	for _, n := range networks {
		put(networkTag(n.Link), f.networkRules(n))
	}
	for _, id := range slices.Sorted(maps.Keys(published)) {
		put(containerTag(id), published[id])
	}
	return out
}

// complete returns the changes after which all chains and hooks of ours are there.
func (s savedRules) complete(f family) []change {
	var out []change
	chains, hooks := f.frame()
	for _, c := range chains {
		if !s.hasChain(c.table, c.words[1]) {
			out = append(out, c)
		}
	}
	there := s.ruleset()
	moved := make(map[place]bool) // one that stands first goes with all of its place, so that they come in order
	for _, h := range hooks {
		if h.words[0] == "-I" && !there.hooked(hooks, h) {
			moved[place{h.table, h.words[1]}] = true
		}
	}
	for _, h := range hooks {
		has := s.hasHook(h)
		if moved[place{h.table, h.words[1]}] && has {
			out = append(out, deletions([]change{h})[0])
			has = false
		}
		if !has {
			out = append(out, h)
		}
	}
	return out
}

// uninstall returns the changes after which no rule has the tag. Where it was the last one, hooks and
// chains go too, but for the user's chains while there are rules in one.
func (s savedRules) uninstall(f family, tag string) (changes []change, last bool) {
	out, others := s.tagged(tag)
	if others > 0 {
		return out, false
	}
	used := slices.ContainsFunc(tables, func(table string) bool {
		return slices.ContainsFunc(s[table], func(line string) bool { return strings.HasPrefix(line, "-A "+chainUser+" ") })
	})
	keep := func(c change) bool { return used && slices.Contains(c.words, chainUser) }
	chains, hooks := f.frame()
	for _, h := range hooks {
		if s.hasHook(h) && !keep(h) {
			out = append(out, deletions([]change{h})...)
		}
	}
	for _, c := range chains {
		if s.hasChain(c.table, c.words[1]) && !keep(c) {
			out = append(out, newChange(c.table, "-X "+c.words[1]))
		}
	}
	return out, true
}

// batch renders changes as the input of iptables-restore: all of a table's are made at once, or none.
func batch(changes []change) string {
	var b strings.Builder
	for _, table := range tables {
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
