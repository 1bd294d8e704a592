package firewall

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// Owner is the owner of a rule.
type Owner struct {
	Network bool       // Name is the bridge of a network, not the id of a container
	Name    string     // "" if the rule is not ours
	To      netip.Addr // destination of a published port, else invalid
}

// Tag returns the tag of the owner's rules.
func (o Owner) Tag() string {
	if o.Network {
		return NetworkTag(o.Name)
	}
	return ContainerTag(o.Name)
}

// In reports whether the rule publishes a port of a container in one of the networks.
func (o Owner) In(bridges []Bridge) bool { return contain(bridges, o.To) }

// parseOwner parses a line of iptables-save.
func parseOwner(line string) (o Owner) {
	words := strings.Fields(line)
	after := func(option string) string {
		if i := slices.Index(words, option); i >= 0 && i+1 < len(words) {
			return strings.Trim(words[i+1], `"`)
		}
		return ""
	}
	name, ok := strings.CutPrefix(after("--comment"), tagPrefix)
	if !ok {
		return o
	}
	o.Name, o.Network = strings.CutPrefix(name, "net/")
	to := after("--to-destination")
	if inner, ok := strings.CutPrefix(to, "["); ok {
		to, _, _ = strings.Cut(inner, "]")
	}
	if strings.Count(to, ":") == 1 { // an IPv4 address and a port
		to, _, _ = strings.Cut(to, ":")
	}
	o.To, _ = netip.ParseAddr(to)
	return o
}

// Owners lists the owners of our rules, of all state directories.
func (fw *Firewall) Owners(ctx context.Context) ([]Owner, error) {
	var owners []Owner
	seen := make(map[Owner]bool)
	err := fw.reading(bothFamilies, func(f state.Family, v variant) error {
		saved, err := v.save(ctx, f)
		if isMissingTool(err) {
			return nil // no tools, no rules
		}
		for _, lines := range saved {
			for _, line := range lines {
				o := parseOwner(line)
				if o.Name == "" || seen[o] {
					continue
				}
				seen[o] = true
				owners = append(owners, o)
			}
		}
		return err
	})
	return owners, err
}
