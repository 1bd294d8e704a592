package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/weikeit/mydocker/lib/firewall"
	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/state"
)

// A network is up if its bridge is there and up, has the network's addresses, forwards, and has IPv6 if the network has; if
// the links of its containers are on the bridge; and if its rules are in all tables of both families. Other programs can
// change all of this: a network manager flushes addresses, an administrator a table. The next container that starts,
// [Manager.Reload] and [Manager.Orphans] check it.

// Reload restores what other programs have changed: bridges, rules, and the hosts files of running containers. It completes
// disconnects and undoes connects that have failed. If the host's administrator has changed the variant of iptables, the rules
// move to the new one.
func (m *Manager) Reload(ctx context.Context) error {
	if err := m.Sweep(ctx); err != nil {
		return err
	}
	err := m.firewall.ChangeVariant(ctx, func() ([]firewall.Bridge, error) {
		networks, err := m.List()
		return rulesOf(networks), err
	})
	if err != nil {
		return err
	}
	// Connections come after the rules, without which no port can be published.
	return errors.Join(m.reload(ctx), m.settleAllConnections(ctx), m.rewriteHosts())
}

// rewriteHosts writes the hosts files of all running containers anew.
func (m *Manager) rewriteHosts() error {
	ids, err := m.dir.IDs()
	errs := []error{err}
	if err := m.hosts.Clear(); err != nil {
		return err
	}
	for _, id := range ids {
		n, err := m.dir.ReadNet(id)
		if err == nil && n.OwnsNamespace() && m.isUp(id, n) {
			err = m.hosts.Add(id, n, m.gatewayOf(n))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reload repairs the bridges, puts loose links back on them, and replaces all our rules, in one batch for each family.
func (m *Manager) reload(ctx context.Context) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	errs := []error{m.repairBridges(ctx)}
	loose, err := m.looseLinks()
	if err == nil && len(loose) > 0 {
		var missing []string
		missing, err = m.enslaveLoose(loose)
		slices.Sort(missing)
		for _, network := range slices.Compact(missing) {
			_, upErr := m.up(ctx, network)
			errs = append(errs, upErr)
		}
	}
	return errors.Join(append(errs, err, m.reloadRules(ctx))...)
}

// repairBridges repairs the bridges that have changed.
func (m *Manager) repairBridges(ctx context.Context) error {
	type broken struct {
		Network
		bridge *link.Bridge
	}
	var list []broken
	err := m.eachUp(func(n Network, b *link.Bridge) {
		if b.Fault(n.addresses()) != "" {
			list = append(list, broken{n, b})
		}
	})
	errs := []error{err}
	for _, n := range list {
		if _, err := m.makeBridge(ctx, n.Network, n.bridge); err != nil {
			errs = append(errs, fmt.Errorf("network %s: %w", n.Name, err))
		}
	}
	return errors.Join(errs...)
}

// reloadRules replaces all our rules.
func (m *Manager) reloadRules(ctx context.Context) error {
	bridges, err := m.upRules()
	if err != nil || len(bridges) == 0 {
		return err
	}
	return m.firewall.Reinstall(ctx, bridges)
}

// repairRules replaces all our rules if some are missing.
func (m *Manager) repairRules(ctx context.Context) error {
	if m.firewall.IsWhole(m.upRules) {
		return nil
	}
	return m.reloadRules(ctx)
}

// upRules returns the networks whose bridges exist, as the firewall needs them.
func (m *Manager) upRules() ([]firewall.Bridge, error) {
	networks, err := m.upNetworks()
	return rulesOf(networks), err
}

func rulesOf(networks []Network) []firewall.Bridge {
	list := make([]firewall.Bridge, len(networks))
	for i, n := range networks {
		list[i] = n.rules()
	}
	return list
}

// upNetworks returns the networks whose bridges exist.
func (m *Manager) upNetworks() ([]Network, error) {
	var up []Network
	err := m.eachUp(func(n Network, _ *link.Bridge) { up = append(up, n) })
	return up, err
}

// eachUp calls do for each network whose bridge exists.
func (m *Manager) eachUp(do func(Network, *link.Bridge)) error {
	entries, err := os.ReadDir(m.dir.Networks())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || len(entries) == 0 {
		return err
	}
	q, err := link.OpenQuery()
	if err != nil {
		return err
	}
	defer q.Close()
	for _, e := range entries {
		n, err := m.load(e.Name())
		if err != nil || n.Link == "" {
			continue // the rules of an unreadable network are unknown
		}
		b, err := q.Bridge(n.Link)
		if err != nil {
			return err
		}
		if b != nil && m.isOurs(b.Link, n) {
			do(n, b)
		}
	}
	return nil
}

// looseLinks lists the links of our containers that are on no bridge. Such a link bypasses all rules.
func (m *Manager) looseLinks() ([]string, error) {
	q, err := link.OpenQuery()
	if err != nil {
		return nil, err
	}
	defer q.Close()
	found, err := q.Loose()
	if err != nil || len(found) == 0 {
		return nil, err
	}
	wanted, err := m.wantedLinks()
	return slices.DeleteFunc(found, func(name string) bool { return !wanted[name] }), err
}

// enslaveLoose puts loose links back on the bridges of their networks. It returns the networks whose bridges are missing.
func (m *Manager) enslaveLoose(names []string) (missing []string, err error) {
	ids, err := m.dir.IDs()
	errs := []error{err}
	for _, id := range ids {
		n, err := m.dir.ReadNet(id)
		if err != nil {
			continue // the endpoints of an unreadable record are unknown
		}
		for _, e := range n.Endpoints {
			if !slices.Contains(names, e.HostLink) {
				continue
			}
			exists, err := m.enslave(e)
			if !exists && err == nil {
				missing = append(missing, e.Network)
			}
			errs = append(errs, err)
		}
	}
	return missing, errors.Join(errs...)
}

// enslave puts the link of an endpoint on its bridge, and reports whether the bridge exists.
func (m *Manager) enslave(e state.Endpoint) (bool, error) {
	network, err := m.load(e.Network)
	if err != nil {
		return false, err
	}
	host := link.Here()
	bridge, err := host.Find(network.Link)
	if err != nil || bridge == nil || !m.isOurs(bridge, network) {
		return false, err
	}
	port, err := host.Find(e.HostLink)
	if err != nil || port == nil { // it has just gone
		return true, err
	}
	if err := host.Enslave(port, bridge); !errors.Is(err, syscall.ENODEV) { // it has gone since
		return true, err
	}
	return true, nil
}

// kindBroken starts the kind of an orphan that exists but has changed. Its removal is a repair.
const kindBroken = "broken"

// faults lists what has changed of the networks that are up.
func (m *Manager) faults(ctx context.Context) ([]state.Orphan, error) {
	var found []state.Orphan
	add := func(kind, name, reason string) {
		found = append(found, state.Orphan{Kind: kindBroken + " " + kind, Name: name, Reason: reason, Remove: m.reload})
	}
	links, linkErr := link.List()
	var networks []Network
	upErr := m.eachUp(func(n Network, b *link.Bridge) {
		if linkErr == nil && b.Unfinished(links) {
			return
		}
		networks = append(networks, n)
		if reason := b.Fault(n.addresses()); reason != "" {
			add("network", n.Name, reason)
		}
	})
	loose, looseErr := m.looseLinks()
	for _, name := range loose {
		add("link", name, "it is on no bridge")
	}
	rules, ruleErr := m.firewall.Faults(ctx, rulesOf(networks))
	for _, fault := range rules {
		add("firewall", fault.Tool, fault.Reason)
	}
	return found, errors.Join(linkErr, upErr, looseErr, ruleErr)
}
