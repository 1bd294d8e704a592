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

	"github.com/weikeit/mydocker/lib/firewall"
	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Orphans lists the orphans of networks: links and bridges, rules, leases, reserved ports, namespaces, attachments, and
// unfinished networks. What other programs have changed of our networks comes last.
func (m *Manager) Orphans(ctx context.Context) ([]state.Orphan, error) {
	networks, listErr := m.List()
	links, linkErr := m.orphanLinks(networks)
	rules, ruleErr := m.orphanRules(ctx, networks)
	leases, leaseErr := m.orphanLeases()
	ports, portErr := m.orphanPorts()
	namespaces, nsErr := m.orphanNamespaces()
	lost, lostErr := m.orphanAttachments()
	broken, brokenErr := m.faults(ctx)
	found := slices.Concat(links, rules, leases, ports, namespaces, lost, m.unfinished(), broken)
	return found, errors.Join(listErr, linkErr, ruleErr, leaseErr, portErr, nsErr, lostErr, brokenErr)
}

// tornLinks returns the possible bridge names of networks whose network.json cannot be read.
func (m *Manager) tornLinks(networks []Network) map[string]bool {
	torn := make(map[string]bool)
	entries, _ := os.ReadDir(m.dir.Networks()) // List reports the error
	for _, e := range entries {
		name := e.Name()
		readable := slices.ContainsFunc(networks, func(n Network) bool { return n.Name == name })
		if _, err := os.Stat(m.networkPath(name)); err == nil && !readable {
			torn[name], torn[m.shortLink(name)] = true, true
		}
	}
	return torn
}

// orphanLinks lists links on our bridges that no container has, and bridges that no network has.
func (m *Manager) orphanLinks(networks []Network) ([]state.Orphan, error) {
	links, err := link.List()
	if err != nil {
		return nil, err
	}
	bridges, torn := make(map[int]bool), m.tornLinks(networks)
	var found []state.Orphan
	for _, dev := range links {
		a := dev.Attrs()
		if !m.isOurAlias(a.Name, a.Alias) {
			continue
		}
		bridges[a.Index] = true
		if torn[a.Name] {
			continue
		}
		if !slices.ContainsFunc(networks, func(n Network) bool { return n.Link == a.Name }) {
			found = append(found, state.Orphan{Kind: "link", Name: a.Name, Reason: "no network has this bridge", Remove: func(ctx context.Context) error {
				return errors.Join(m.firewall.Remove(ctx, firewall.NetworkTag(a.Name)), link.Delete(a.Name))
			}})
		}
	}
	wanted, err := m.wantedLinks()
	if err != nil { // the owners of the links are unknown
		return found, err
	}
	for _, dev := range links {
		if name := dev.Attrs().Name; bridges[dev.Attrs().MasterIndex] && strings.HasPrefix(name, "veth-") && !wanted[name] {
			found = append(found, state.Orphan{Kind: "link", Name: name, Reason: "no running container has it", Remove: func(context.Context) error {
				if wanted, err := m.wantedLinks(); err != nil || wanted[name] {
					return err
				}
				return link.Delete(name)
			}})
		}
	}
	return found, err
}

// wantedLinks returns the links of containers that run or are being made, and of attached namespaces.
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

// orphanRules lists the rules of containers that do not run, and of bridges that do not exist. All state directories share
// the firewall: the rules of a container are ours if they lead into one of our networks.
func (m *Manager) orphanRules(ctx context.Context, networks []Network) ([]state.Orphan, error) {
	owners, err := m.firewall.Owners(ctx)
	if err != nil {
		return nil, err
	}
	networks, err = m.withoutConflict(networks)
	if err != nil {
		return nil, err
	}
	bridges := rulesOf(networks)
	var found []state.Orphan
	seen := make(map[string]bool)
	for _, o := range owners {
		reason := ""
		switch {
		case seen[o.Tag()]:
			continue
		case o.Network && link.IsMissing(o.Name):
			reason = "bridge " + o.Name + " does not exist"
		case !o.Network && state.IsID(o.Name) && o.In(bridges) && m.dir.Extent(o.Name) != state.Active:
			reason = "container " + o.Name + " does not run"
		default:
			continue
		}
		seen[o.Tag()] = true
		found = append(found, state.Orphan{Kind: "rule", Name: o.Tag(), Reason: reason, Remove: func(ctx context.Context) error {
			if o.Network {
				return m.firewall.Remove(ctx, o.Tag())
			}
			return m.dir.IfAtMost(o.Name, state.Stopped, func() error { return m.firewall.Remove(ctx, o.Tag()) })
		}})
	}
	return found, nil
}

// withoutConflict returns the networks whose addresses no other link uses. While our network is down, a network of another
// state directory can have the same addresses.
func (m *Manager) withoutConflict(networks []Network) ([]Network, error) {
	var list []Network
	for _, n := range networks {
		routes, err := link.HostRoutes(n.Link)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(n.IPNets, func(p netip.Prefix) bool { return checkOverlap(p, routes) != nil }) {
			list = append(list, n)
		}
	}
	return list, nil
}

// orphanLeases lists the leases of containers that are gone. A stopped container keeps its addresses.
func (m *Manager) orphanLeases() ([]state.Orphan, error) {
	paths, err := linux.Glob(m.dir.Networks(), "*/leases/*")
	var found []state.Orphan
	for _, path := range paths {
		holder := state.Holder(path)
		if addr, err := netip.ParseAddr(filepath.Base(path)); err == nil {
			if owner := m.holder(filepath.Base(filepath.Dir(filepath.Dir(path))), addr); owner != holder {
				continue // a torn lease of a container that exists
			}
		}
		isOrphan := func() bool { return m.isGone(holder) && m.dir.Extent(holder) == state.Absent }
		found = append(found, m.orphanFile("lease", path, holder, isOrphan)...)
	}
	return found, err
}

// orphanPorts lists the reserved ports of containers that do not run.
func (m *Manager) orphanPorts() ([]state.Orphan, error) {
	paths, err := linux.Glob(m.ports.Dir, "*")
	var found []state.Orphan
	for _, path := range paths {
		holder := state.Holder(path)
		isOrphan := func() bool { return m.isGone(holder) || m.dir.Extent(holder) != state.Active }
		found = append(found, m.orphanFile("port", path, holder, isOrphan)...)
	}
	return found, err
}

// orphanFile returns the file of a lease or a reserved port, if it is an orphan. holder is the id in it.
func (m *Manager) orphanFile(kind, path, holder string, isOrphan func() bool) []state.Orphan {
	if strings.HasPrefix(filepath.Base(path), state.TempPrefix) || !isOrphan() || state.Holder(path) != holder { // it may have just gone
		return nil
	}
	return []state.Orphan{{Kind: kind, Name: path, Reason: "container " + holder + " does not have it any more", Remove: func(context.Context) error {
		return m.locked(func() error {
			if !isOrphan() {
				return nil
			}
			if addr, err := netip.ParseAddr(filepath.Base(path)); err == nil {
				if err := link.ForgetAddresses(addr); err != nil {
					return err
				}
			}
			return state.Release(path, holder)
		})
	}}}
}

// orphanNamespaces lists the namespaces that we have made for containers that do not run.
func (m *Manager) orphanNamespaces() ([]state.Orphan, error) {
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

// unfinished lists networks whose maker was killed before it wrote network.json.
func (m *Manager) unfinished() []state.Orphan {
	entries, _ := os.ReadDir(m.dir.Networks()) // missing if there are no networks
	var found []state.Orphan
	for _, e := range entries {
		isOrphan := func() bool {
			_, err := os.Stat(m.networkPath(e.Name()))
			return errors.Is(err, fs.ErrNotExist) && state.Settled(m.path(e.Name())) && len(m.leased(e.Name())) == 0
		}
		if !e.IsDir() || !isOrphan() {
			continue
		}
		found = append(found, state.Orphan{Kind: "network", Name: m.path(e.Name()), Reason: "its maker was killed", Remove: func(context.Context) error {
			return m.locked(func() error {
				if !isOrphan() {
					return nil
				}
				return os.RemoveAll(m.path(e.Name()))
			})
		}})
	}
	return found
}

// orphanAttachments lists the attachments of namespaces that are gone.
func (m *Manager) orphanAttachments() ([]state.Orphan, error) {
	ids, err := m.dir.IDs()
	var found []state.Orphan
	for _, id := range ids {
		n, err := m.dir.ReadNet(id)
		if err != nil || n.NetNS == "" || !m.isLost(id, n) {
			continue
		}
		found = append(found, state.Orphan{Kind: "attachment", Name: m.dir.Bundle(id), Reason: "namespace " + n.NetNS + " is gone", Remove: m.Sweep})
	}
	return found, err
}

// locked calls do under the lock.
func (m *Manager) locked(do func() error) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return do()
}
