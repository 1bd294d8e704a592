package firewall

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// ruleset has the rules of the chains that matter to us, read from the kernel or from the output of iptables-save.
// [ruleset.lacks] compares it with what should be there.
type ruleset map[place][]rule

// place is a chain in a table.
type place struct{ table, chain string }

// rule is the part of a rule that we compare.
type rule struct {
	jump string // chain that it jumps to
	bare bool   // matches every packet
	tag  string // "" if it is not ours
}

func (r ruleset) add(table, chain string, added rule) {
	r[place{table, chain}] = append(r[place{table, chain}], added)
}

// counts returns the number of rules by place and tag.
func (r ruleset) counts() map[place]map[string]int {
	found := make(map[place]map[string]int)
	for at, rules := range r {
		for _, rule := range rules {
			if rule.tag != "" {
				count(found, at, rule.tag)
			}
		}
	}
	return found
}

func count(in map[place]map[string]int, at place, tag string) {
	if in[at] == nil {
		in[at] = make(map[string]int)
	}
	in[at][tag]++
}

// lacks describes what is missing of the rules of bridges and of published ports, "" if nothing is. published has the
// number of port rules by container id.
func (r ruleset) lacks(f state.Family, bridges []Bridge, published map[string]int) string {
	if len(bridges) == 0 {
		return ""
	}
	found := r.counts()
	_, hooks := frame(f) // a hook implies its chain
	for _, h := range hooks {
		if !r.hooked(hooks, h) {
			return fmt.Sprintf("chain %s of table %s does not jump to %s, or too late", h.words[1], h.table, h.target())
		}
	}
	for _, b := range bridges {
		if !hasAll(found, networkRules(f, b), NetworkTag(b.Link)) {
			return "rules of network " + b.Network + " are missing"
		}
	}
	publish := found[place{"nat", chainPublish}]
	for _, id := range slices.Sorted(maps.Keys(published)) {
		if publish[ContainerTag(id)] != published[id] {
			return "rules of the ports of container " + id + " are missing"
		}
	}
	return ""
}

// hasAll reports whether each chain has as many rules with the tag as wanted.
func hasAll(found map[place]map[string]int, rules []change, tag string) bool {
	wanted := make(map[place]map[string]int)
	for _, c := range rules {
		count(wanted, place{c.table, c.words[1]}, tag)
	}
	for at, tags := range wanted {
		if found[at][tag] != tags[tag] {
			return false
		}
	}
	return true
}

// hooked reports whether a hook is there and, if it must come first, whether it does: an accepting rule of another program
// before it would bypass ours.
func (r ruleset) hooked(hooks []change, h change) bool {
	rules := r[place{h.table, h.words[1]}]
	at := slices.IndexFunc(rules, func(rule rule) bool { return rule.jump == h.target() && rule.tag == "" })
	if h.words[0] != "-I" {
		return at >= 0
	}
	// Each hook was inserted before the earlier ones.
	want := 0
	for _, other := range hooks[slices.IndexFunc(hooks, h.same)+1:] {
		if other.words[0] == "-I" && other.table == h.table && other.words[1] == h.words[1] {
			want++
		}
	}
	return at == want && rules[at].bare
}

// ruleset parses the lines of iptables-save.
func (s savedRules) ruleset() ruleset {
	found := make(ruleset)
	for table, lines := range s {
		for _, line := range lines {
			words := strings.Fields(line)
			if words[0] != "-A" || len(words) < 4 {
				continue
			}
			r := rule{bare: len(words) == 4}
			if n := len(words); words[n-2] == "-j" {
				r.jump = words[n-1]
			}
			if i := slices.Index(words, "--comment"); i > 0 {
				if tag := strings.Trim(words[i+1], `"`); strings.HasPrefix(tag, tagPrefix) {
					r.tag = tag
				}
			}
			found.add(table, words[1], r)
		}
	}
	return found
}
