package network

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// Reload puts back all our rules and names: those of the networks whose bridges are up, and of the containers
// that run. Where the host's administrator has changed from one variant of iptables to the other, they
// change, too.
func (m *Manager) Reload(ctx context.Context) error {
	if err := m.Sweep(ctx); err != nil {
		return err
	}
	if old := m.variant(); old != detect() {
		if err := m.removeRules(ctx, old); err != nil {
			return err
		}
		if err := os.Remove(m.variantPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.Join(m.reload(ctx), m.renewNames())
}

func (m *Manager) reload(ctx context.Context) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return m.reloadRules(ctx)
}

// reloadRules makes all our rules anew, in one batch a family. The caller holds the lock on the networks.
func (m *Manager) reloadRules(ctx context.Context) error {
	networks, err := m.upNetworks()
	if err != nil || len(networks) == 0 {
		return err
	}
	has6 := false
	for _, n := range networks {
		has6 = has6 || n.has6()
		if err := m.openHost(n); err != nil {
			return err
		}
	}
	if err := m.recordVariant(); err != nil {
		return err
	}
	return m.eachFamily(has6, func(f family, v variant) error {
		saved, err := v.save(ctx, f)
		if err != nil {
			return err
		}
		changes := append(saved.complete(f), saved.ours()...)
		for _, n := range networks {
			if len(n.subnets(f)) > 0 {
				changes = append(changes, f.networkRules(n)...)
			}
		}
		published, err := m.publishedRules(f)
		if err != nil {
			return err
		}
		return v.restore(ctx, f, append(changes, published...))
	})
}

// removeRules deletes all our rules, chains and hooks of a variant.
func (m *Manager) removeRules(ctx context.Context, v variant) error {
	return m.eachFamily(true, func(f family, _ variant) error {
		saved, err := v.save(ctx, f)
		var missing *missingTool
		if errors.As(err, &missing) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := v.restore(ctx, f, saved.ours()); err != nil {
			return err
		}
		if saved, err = v.save(ctx, f); err != nil {
			return err
		}
		changes, _ := saved.uninstall(f, networkTag(""))
		return v.restore(ctx, f, changes)
	})
}

// upNetworks returns the networks whose bridges are there and up.
func (m *Manager) upNetworks() ([]Network, error) {
	entries, err := os.ReadDir(m.dir.Networks())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var up []Network
	for _, e := range entries {
		n, err := m.load(e.Name())
		if err != nil || n.Link == "" {
			continue // what cannot be read has no rules that we could know
		}
		link, err := findLink(n.Link)
		if err != nil {
			return nil, err
		}
		if link != nil && m.owns(link, n) && link.Attrs().Flags&net.FlagUp != 0 {
			up = append(up, n)
		}
	}
	return up, nil
}

// publishedRules returns the rules of all ports that are published.
func (m *Manager) publishedRules(f family) ([]change, error) {
	entries, err := os.ReadDir(filepath.Join(m.dir.Run, "published"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rules []change
	for _, e := range entries {
		n, err := m.dir.ReadNet(e.Name())
		if err != nil {
			continue // what cannot be read has no rules that we could know, and is not to hinder the others
		}
		rules = append(rules, f.portRules(e.Name(), n)...)
	}
	return rules, nil
}

// needed is a rule of a network that must be there, and by what text it is known: of the whole chain.
type needed struct{ table, chain, text string }

// standing reports whether the network's rules are there. It asks the kernel, without a process, and looks at
// one rule of each table that people flush, once for a command. What cannot be found out counts as there.
func (m *Manager) standing(n Network) bool {
	if _, before := m.looked.LoadOrStore(n.Name, true); before {
		return true
	}
	tag := networkTag(n.Link)
	wanted := []needed{{"filter", "FORWARD", chainForward}, {"filter", chainForward, tag}}
	if !n.Internal {
		wanted = append(wanted, needed{"nat", "POSTROUTING", chainMasquerade}, needed{"nat", chainMasquerade, tag})
	}
	v := m.variant()
	for _, f := range families {
		if len(n.subnets(f)) > 0 && !v.has(f, wanted) {
			return false
		}
	}
	return true
}
