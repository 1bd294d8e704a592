package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/state"
)

// Our chains and their hooks, the same in both families. Policies and other programs' rules are never touched. All rules
// except the hooks have a comment, the tag, that names their owner: a network by its bridge, or a container by its id.
//
//	mangle  FORWARD      first  MYDOCKER-USER        the user's exceptions from what follows
//	                     then   MYDOCKER-FORWARD     what must not pass from and to our bridges
//	                            MYDOCKER-ISOLATE     drops packets between our bridges
//	filter  FORWARD      first  MYDOCKER-USER        the user's own rules: we never change them
//	                     then   MYDOCKER-FORWARD     what passes from and to our bridges
//	                            MYDOCKER-ISOLATE     as above
//	nat     PREROUTING   last   MYDOCKER-PUBLISH     published ports, for other hosts
//	nat     OUTPUT       last   MYDOCKER-PUBLISH     published ports, for this host
//	nat     POSTROUTING  last   MYDOCKER-MASQUERADE
//	raw     PREROUTING   first  MYDOCKER-LOOPBACK    keeps containers from the host's 127.0.0.0/8
//
// Isolation is enforced twice. In the filter table other programs insert accepting rules before ours at any time (Docker
// when its daemon starts, podman, ufw, firewalld). The mangle table comes before filter and has no such rules, so packets
// are dropped there. The filter table drops them too, in case one of the tables is flushed.
//
// Every network has rules in both families. In a family in which it has no addresses it is closed like an internal network:
// containers can send packets of any kind, and the host forwards a family for all links or for none.
const (
	chainPrefix     = "MYDOCKER-"
	chainUser       = chainPrefix + "USER"
	chainForward    = chainPrefix + "FORWARD"
	chainIsolate    = chainPrefix + "ISOLATE"
	chainPublish    = chainPrefix + "PUBLISH"
	chainMasquerade = chainPrefix + "MASQUERADE"
	chainLoopback   = chainPrefix + "LOOPBACK"
)

// tables returns the tables in which we have rules.
func tables() []string { return []string{"filter", "mangle", "nat", "raw"} }

// change is a change to the firewall: a table, and the iptables arguments after "-t TABLE".
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

// loopback returns the loopback addresses of a family.
func loopback(f state.Family) string {
	if f == state.IPv6 {
		return "::1"
	}
	return "127.0.0.0/8"
}

// frame returns the chains and hooks of a family, in the order in which they can be made.
func frame(f state.Family) (chains, hooks []change) {
	for _, c := range [][2]string{
		{"mangle", chainUser}, {"mangle", chainForward}, {"mangle", chainIsolate},
		{"filter", chainUser}, {"filter", chainForward}, {"filter", chainIsolate},
		{"nat", chainPublish}, {"nat", chainMasquerade},
		{"raw", chainLoopback},
	} {
		chains = append(chains, newChange(c[0], "-N "+c[1]))
	}
	hooks = []change{
		// Inserted first, because Docker and ufw drop unknown packets (policy FORWARD DROP). The user's chain is inserted
		// last and so comes first.
		newChange("mangle", "-I FORWARD -j "+chainForward),
		newChange("mangle", "-I FORWARD -j "+chainUser),
		newChange("filter", "-I FORWARD -j "+chainForward),
		newChange("filter", "-I FORWARD -j "+chainUser),
		// Packets of the host itself pass OUTPUT.
		newChange("nat", "-A PREROUTING ! -d "+loopback(f)+" -m addrtype --dst-type LOCAL -j "+chainPublish),
		newChange("nat", "-A OUTPUT -m addrtype --dst-type LOCAL -j "+chainPublish),
		newChange("nat", "-A POSTROUTING -j "+chainMasquerade),
		newChange("raw", "-I PREROUTING -j "+chainLoopback),
	}
	return chains, hooks
}

const tagPrefix = "mydocker/"

// NetworkTag returns the tag of the rules of the network with a bridge.
func NetworkTag(bridge string) string { return tagPrefix + "net/" + bridge }

// ContainerTag returns the tag of the rules of container id.
func ContainerTag(id string) string { return tagPrefix + id }

// Bridge is a network as its rules need it.
type Bridge struct {
	Network  string // its name, for messages
	Link     string
	Subnets  []netip.Prefix
	Internal bool
}

// subnets returns the subnets of a family.
func (b Bridge) subnets(f state.Family) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(b.Subnets), func(p netip.Prefix) bool { return !f.Has(p.Addr()) })
}

// contain reports whether an address lies in one of the networks.
func contain(bridges []Bridge, addr netip.Addr) bool {
	return slices.ContainsFunc(bridges, func(b Bridge) bool {
		return slices.ContainsFunc(b.Subnets, func(p netip.Prefix) bool { return p.Contains(addr) })
	})
}

// networkRules returns the rules of a network in a family.
func networkRules(f state.Family, b Bridge) []change {
	rule := func(table, match, target string) change {
		return newChange(table, fmt.Sprintf("%s -m comment --comment %s -j %s", match, NetworkTag(b.Link), target))
	}
	from, to := " -i "+b.Link, " -o "+b.Link
	// Publishing on 127.0.0.1 needs route_localnet, which must not open the host's own services to containers.
	guard := rule("raw", "-A "+chainLoopback+" -d "+loopback(f)+from, "DROP")
	if b.Internal || len(b.subnets(f)) == 0 {
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

		// Inserted before all accepting rules: networks are isolated from each other.
		rule("filter", "-I "+chainForward+from+" !"+to, chainIsolate),
		rule("filter", "-A "+chainIsolate+to, "DROP"),
		rule("filter", "-A "+chainForward+from, "ACCEPT"),
		rule("filter", "-A "+chainForward+to+" -m conntrack --ctstate RELATED,ESTABLISHED,DNAT", "ACCEPT"),
		// Neighbours with a route to the containers reach published ports only.
		rule("filter", "-A "+chainForward+to, "DROP"),

		// Connections of the host from 127.0.0.1: a container cannot answer that address.
		rule("nat", "-A "+chainMasquerade+" -s "+loopback(f)+to, "MASQUERADE"),
		guard,
	}
	for _, subnet := range b.subnets(f) {
		within := " -s " + subnet.String()
		rules = append(rules,
			rule("nat", "-A "+chainMasquerade+within+" !"+to, "MASQUERADE"),
			// A container that uses a published port: the answer must pass the host too, even if client and server are
			// neighbours or the same container.
			rule("nat", "-A "+chainMasquerade+within+to+" -m conntrack --ctstate DNAT", "MASQUERADE"))
	}
	return rules
}

// portRulesTo returns the rules that publish ports of container id, which has the address to, in the address's family.
// Consecutive ports share one rule.
func portRulesTo(to netip.Addr, id string, ports []state.Port) []change {
	var rules []change
	f := state.FamilyOf(to)
	for _, r := range hostport.Ranges(ports) {
		if r.HostIP.IsValid() && !f.Has(r.HostIP) {
			continue
		}
		var line strings.Builder
		fmt.Fprintf(&line, "-A %s", chainPublish)
		if r.HostIP.IsValid() && !r.HostIP.IsUnspecified() {
			fmt.Fprintf(&line, " -d %s", r.HostIP)
		}
		target := fmt.Sprintf("%s:%d", state.Bracketed(to), r.Container)
		ports := fmt.Sprint(r.First)
		if r.Last > r.First {
			ports = fmt.Sprintf("%d:%d", r.First, r.Last)
			// After the slash: the port that maps to the first of the range (iptables-extensions(8), DNAT).
			target = fmt.Sprintf("%s:%d-%d/%d", state.Bracketed(to), r.Container, r.Container+(r.Last-r.First), r.First)
			if r.Container == r.First {
				target = to.String()
			}
		}
		fmt.Fprintf(&line, " -p %s --dport %s -m comment --comment %s -j DNAT --to-destination %s",
			r.Protocol, ports, ContainerTag(id), target)
		rules = append(rules, newChange("nat", line.String()))
	}
	return rules
}

// deletions returns the changes that delete rules.
func deletions(rules []change) []change {
	out := make([]change, len(rules))
	for i, r := range rules {
		out[i] = change{r.table, append([]string{"-D"}, r.words[1:]...)}
	}
	return out
}

// batch formats changes as input of iptables-restore, which makes all changes of a table or none.
func batch(changes []change) string {
	var b strings.Builder
	for _, table := range tables() {
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
