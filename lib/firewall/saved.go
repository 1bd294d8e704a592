package firewall

import (
	"maps"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/state"
)

// savedRules is the output of iptables-save: the lines of each table.
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

// ours returns the deletions of all rules of the bridges, of ports of containers in their subnets, and of bridges that no
// longer exist, without the hooks. All state directories share the firewall; the remaining rules belong to others.
func (s savedRules) ours(bridges []Bridge) []change {
	var found []change
	for _, table := range tables() {
		for _, line := range s[table] {
			o := parseOwner(line)
			if o.Name == "" || !strings.HasPrefix(line, "-A "+chainPrefix) {
				continue
			}
			ours := contain(bridges, o.To)
			if o.Network {
				ours = slices.ContainsFunc(bridges, func(b Bridge) bool { return b.Link == o.Name }) || link.IsMissing(o.Name)
			}
			if ours {
				line = strings.ReplaceAll(line, `"`, "")
				found = append(found, newChange(table, "-D"+strings.TrimPrefix(line, "-A")))
			}
		}
	}
	return found
}

func (s savedRules) hasChain(table, chain string) bool {
	return slices.ContainsFunc(s[table], func(line string) bool { return strings.HasPrefix(line, ":"+chain+" ") })
}

// hasHook reports whether the hook's chain is entered from the same built-in chain, and by all packets if the hook is for
// all packets.
func (s savedRules) hasHook(hook change) bool {
	from, to := hook.words[1], hook.target()
	if hook.words[0] == "-I" {
		return slices.Contains(s[hook.table], "-A "+from+" -j "+to)
	}
	return slices.ContainsFunc(s[hook.table], func(line string) bool {
		return strings.HasPrefix(line, "-A "+from+" ") && strings.HasSuffix(line, " -j "+to)
	})
}

// tagged returns the deletions of all rules with a tag, and the number of our rules with other tags.
func (s savedRules) tagged(tag string) (found []change, others int) {
	for _, table := range tables() {
		for _, line := range s[table] {
			switch {
			case strings.Contains(line, " --comment "+tag+" ") || strings.Contains(line, ` --comment "`+tag+`" `):
				line = strings.ReplaceAll(line, `"`, "") // our tags need no quotes, but some versions print them
				found = append(found, newChange(table, "-D"+strings.TrimPrefix(line, "-A")))
			case strings.HasPrefix(line, "-A "+chainPrefix) && !strings.HasPrefix(line, "-A "+chainUser+" "):
				others++
			}
		}
	}
	return found, others
}

// install returns the changes after which the frame and the rules of the bridges and of published ports are there exactly
// once. With anew it replaces all rules, else only those that differ. published has the port rules by container id.
func (s savedRules) install(f state.Family, bridges []Bridge, published map[string][]change, anew bool) []change {
	out := s.complete(f)
	if anew {
		out = append(out, s.ours(bridges)...)
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
	for _, b := range bridges {
		put(NetworkTag(b.Link), networkRules(f, b))
	}
	for _, id := range slices.Sorted(maps.Keys(published)) {
		put(ContainerTag(id), published[id])
	}
	return out
}

// complete returns the changes after which all our chains and hooks are there.
func (s savedRules) complete(f state.Family) []change {
	var out []change
	chains, hooks := frame(f)
	for _, c := range chains {
		if !s.hasChain(c.table, c.words[1]) {
			out = append(out, c)
		}
	}
	there := s.ruleset()
	moved := make(map[place]bool) // chains whose first hooks are all inserted again, to be in order
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

// uninstall returns the changes after which no rule has the tag. With our last rule the hooks and chains are removed too,
// except the user's chains if one has rules.
func (s savedRules) uninstall(f state.Family, tag string) (changes []change, last bool) {
	out, others := s.tagged(tag)
	if others > 0 {
		return out, false
	}
	used := slices.ContainsFunc(tables(), func(table string) bool {
		return slices.ContainsFunc(s[table], func(line string) bool { return strings.HasPrefix(line, "-A "+chainUser+" ") })
	})
	keep := func(c change) bool { return used && slices.Contains(c.words, chainUser) }
	chains, hooks := frame(f)
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
