package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Orphans returns what of networks nobody owns: links and bridges, namespaces, rules, leases, claims on ports, and
// networks that were not finished. What of our networks another program broke comes last.
func (m *Manager) Orphans(ctx context.Context) ([]state.Orphan, error) {
	networks, listErr := m.List()
	links, linkErr := m.strayLinks(networks)
	rules, ruleErr := m.strayRules(ctx, networks)
	claims, claimErr := m.strayClaims()
	namespaces, nsErr := m.strayNamespaces()
	lost, lostErr := m.strayAttachments()
	broken, brokenErr := m.faults(ctx)
	found := slices.Concat(links, rules, claims, namespaces, lost, m.unfinished(), broken)
	return found, errors.Join(listErr, linkErr, ruleErr, claimErr, nsErr, lostErr, brokenErr)
}

// tornLinks returns the names that the bridges of networks may have whose network.json is there and cannot be read.
func (m *Manager) tornLinks(networks []Network) map[string]bool {
	torn := make(map[string]bool)
	entries, _ := os.ReadDir(m.dir.Networks()) // List has told
	for _, e := range entries {
		name := e.Name()
		readable := slices.ContainsFunc(networks, func(n Network) bool { return n.Name == name })
		if _, err := os.Stat(filepath.Join(m.path(name), "network.json")); err == nil && !readable {
			torn[name], torn[m.shortLink(name)] = true, true
		}
	}
	return torn
}

// strayLinks finds links on our bridges that no container has, and bridges that no network has.
func (m *Manager) strayLinks(networks []Network) ([]state.Orphan, error) {
	links, err := netlink.LinkList()
	for tries := 0; errors.Is(err, netlink.ErrDumpInterrupted) && tries < 100; tries++ { // one came or went meanwhile
		links, err = netlink.LinkList()
	}
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	bridges, torn := make(map[int]bool), m.tornLinks(networks)
	var found []state.Orphan
	for _, link := range links {
		a := link.Attrs()
		if !m.aliased(a.Name, a.Alias) {
			continue
		}
		bridges[a.Index] = true
		if torn[a.Name] {
			continue
		}
		if !slices.ContainsFunc(networks, func(n Network) bool { return n.Link == a.Name }) {
			found = append(found, state.Orphan{Kind: "link", Name: a.Name, Reason: "no network has this bridge", Remove: func(ctx context.Context) error {
				return errors.Join(m.uninstallRules(ctx, networkTag(a.Name), true), deleteLink(a.Name))
			}})
		}
	}
	wanted, err := m.wantedLinks()
	if err != nil { // it cannot be told whose a link is
		return found, err
	}
	for _, link := range links {
		if name := link.Attrs().Name; bridges[link.Attrs().MasterIndex] && strings.HasPrefix(name, "veth-") && !wanted[name] {
			found = append(found, state.Orphan{Kind: "link", Name: name, Reason: "no container that runs is connected by it", Remove: func(context.Context) error {
				if wanted, err := m.wantedLinks(); err != nil || wanted[name] {
					return err
				}
				return deleteLink(name)
			}})
		}
	}
	return found, err
}

// wantedLinks are those of containers that run, are made, or are attached.
func (m *Manager) wantedLinks() (map[string]bool, error) {
	ids, err := m.dir.IDs()
	wanted := make(map[string]bool)
	for _, id := range ids {
		if m.dir.Extent(id) != state.Active {
			continue
		}
		n, err := m.dir.ReadNet(id)
		if err != nil {
			return nil, fmt.Errorf("container %s: %w", id, err)
		}
		for _, e := range n.Endpoints {
			wanted[e.HostLink] = true
		}
	}
	return wanted, err
}

// owner is whose a rule is, as its comment says.
type owner struct {
	network bool       // of the network whose bridge is name, else of the container with that id
	name    string     // "" where the rule is not ours
	to      netip.Addr // where a port is published to
}

func (o owner) tag() string {
	if o.network {
		return networkTag(o.name)
	}
	return containerTag(o.name)
}

// ownerOf reads a line of iptables-save.
func ownerOf(line string) (o owner) {
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
	o.name, o.network = strings.CutPrefix(name, "net/")
	to := after("--to-destination")
	if inner, ok := strings.CutPrefix(to, "["); ok {
		to, _, _ = strings.Cut(inner, "]")
	}
	if strings.Count(to, ":") == 1 { // a port behind an address of IPv4
		to, _, _ = strings.Cut(to, ":")
	}
	o.to, _ = netip.ParseAddr(to) // not valid, not of a port
	return o
}

// strayRules finds the rules of containers that do not run, and of bridges that are not there. The firewall is that of
// the whole host: the rules of a container are ours where they lead into one of our networks.
func (m *Manager) strayRules(ctx context.Context, networks []Network) ([]state.Orphan, error) {
	var lines []string
	err := m.lookAtFamilies(true, func(f family, v variant) error {
		saved, err := v.save(ctx, f)
		var missing *missingTool
		if errors.As(err, &missing) {
			return nil // no tools, no rules
		}
		for _, table := range saved {
			lines = append(lines, table...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	networks, err = m.leading(networks)
	if err != nil {
		return nil, err
	}
	var found []state.Orphan
	seen := make(map[string]bool)
	for _, line := range lines {
		o := ownerOf(line)
		if o.name == "" || seen[o.tag()] {
			continue
		}
		reason := ""
		switch {
		case o.network && isGone(o.name):
			reason = "the bridge " + o.name + " is gone"
		case !o.network && state.IsID(o.name) && inSubnets(o.to, networks) && m.dir.Extent(o.name) != state.Active:
			reason = "container " + o.name + " does not run"
		default:
			continue
		}
		seen[o.tag()] = true
		found = append(found, state.Orphan{Kind: "rule", Name: o.tag(), Reason: reason, Remove: func(ctx context.Context) error {
			if o.network {
				return m.uninstallRules(ctx, o.tag(), true)
			}
			return m.dir.IfAtMost(o.name, state.Stopped, func() error { return m.uninstallRules(ctx, o.tag(), true) })
		}})
	}
	return found, nil
}

// leading returns the networks but for those whose addresses are in use by links that are not ours: a network of another
// state directory may have the same ones, as long as ours is not up.
func (m *Manager) leading(networks []Network) ([]Network, error) {
	var list []Network
	for _, n := range networks {
		routes, err := hostRoutes(n.Link)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(n.IPNets, func(p netip.Prefix) bool { return checkOverlap(p, routes) != nil }) {
			list = append(list, n)
		}
	}
	return list, nil
}

// inSubnets reports whether the address lies in one of the networks.
func inSubnets(addr netip.Addr, networks []Network) bool {
	return slices.ContainsFunc(networks, func(n Network) bool {
		return slices.ContainsFunc(n.IPNets, func(p netip.Prefix) bool { return p.Contains(addr) })
	})
}

// strayClaims finds the leases and the claims on ports of those that are gone. A stopped container has its addresses,
// and no ports.
func (m *Manager) strayClaims() ([]state.Orphan, error) {
	var found []state.Orphan
	leases, err := filepath.Glob(filepath.Join(m.dir.Networks(), "*", "leases", "*"))
	ports, portErr := filepath.Glob(filepath.Join(m.portDir(), "*"))
	for _, path := range append(leases, ports...) {
		if strings.HasPrefix(filepath.Base(path), state.TempPrefix) {
			continue
		}
		kind, holder := "lease", state.Holder(path)
		if addr, err := netip.ParseAddr(filepath.Base(path)); err == nil && filepath.Base(filepath.Dir(path)) == "leases" {
			if whole := m.holder(filepath.Base(filepath.Dir(filepath.Dir(path))), addr); whole != holder {
				continue // torn, and of a container that is there
			}
		}
		stray := func() bool { return m.gone(holder) && m.dir.Extent(holder) == state.Absent }
		if filepath.Dir(path) == m.portDir() {
			kind, stray = "port", func() bool { return m.gone(holder) || m.dir.Extent(holder) != state.Active }
		}
		if !stray() || state.Holder(path) != holder { // it goes before its container does
			continue
		}
		found = append(found, state.Orphan{Kind: kind, Name: path, Reason: "container " + holder + " does not hold it any more", Remove: func(context.Context) error {
			return m.locked(func() error {
				if !stray() {
					return nil
				}
				if addr, err := netip.ParseAddr(filepath.Base(path)); err == nil {
					if err := flushAddresses(addr); err != nil {
						return err
					}
				}
				return state.Release(path, holder)
			})
		}})
	}
	return found, errors.Join(err, portErr)
}

// strayNamespaces finds the namespaces that we made for containers that do not run.
func (m *Manager) strayNamespaces() ([]state.Orphan, error) {
	entries, err := os.ReadDir(filepath.Dir(m.dir.NetNS("x")))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	var found []state.Orphan
	for _, e := range entries {
		id := e.Name()
		if !state.IsID(id) || m.dir.Extent(id) == state.Active {
			continue
		}
		found = append(found, state.Orphan{Kind: "namespace", Name: m.dir.NetNS(id), Reason: "its container does not run", Remove: func(context.Context) error {
			return m.dir.IfAtMost(id, state.Stopped, func() error { return linux.RemoveNetNS(m.dir.NetNS(id)) })
		}})
	}
	return found, err
}

// unfinished finds networks whose maker was killed before it wrote what they are.
func (m *Manager) unfinished() []state.Orphan {
	entries, _ := os.ReadDir(m.dir.Networks()) // none, no directory
	var found []state.Orphan
	for _, e := range entries {
		stray := func() bool {
			_, err := os.Stat(m.networkPath(e.Name()))
			return errors.Is(err, fs.ErrNotExist) && state.Settled(m.path(e.Name())) && len(m.leased(e.Name())) == 0
		}
		if !e.IsDir() || !stray() {
			continue
		}
		found = append(found, state.Orphan{Kind: "network", Name: m.path(e.Name()), Reason: "it was being made when its maker was killed", Remove: func(context.Context) error {
			return m.locked(func() error {
				if !stray() {
					return nil
				}
				return os.RemoveAll(m.path(e.Name()))
			})
		}})
	}
	return found
}

// strayAttachments finds the namespaces of others that were connected, and are gone.
func (m *Manager) strayAttachments() ([]state.Orphan, error) {
	ids, err := m.dir.IDs()
	var found []state.Orphan
	for _, id := range ids {
		n, err := m.dir.ReadNet(id)
		if err != nil || n.NetNS == "" || !m.lost(id, n) {
			continue
		}
		found = append(found, state.Orphan{Kind: "attachment", Name: m.dir.Bundle(id), Reason: "the namespace " + n.NetNS + " is gone", Remove: m.Sweep})
	}
	return found, err
}

func (m *Manager) locked(do func() error) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return do()
}
