package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Reload puts back all of ours that another program changed: bridges, rules and names of the networks that are up, and of
// the containers that run. Where the host's administrator has changed from one variant of iptables to the other, they
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
	return m.reloadAll(ctx)
}

// reloadAll mends the bridges, puts loose links back on them, and makes all our rules anew, in one batch a family. The
// caller holds the lock on the networks.
func (m *Manager) reloadAll(ctx context.Context) error {
	type broken struct {
		Network
		bridge *bridge
	}
	var list []broken
	err := m.eachUp(func(n Network, b *bridge) {
		if b.fault(n) != "" {
			list = append(list, broken{n, b})
		}
	})
	errs := []error{err}
	for _, n := range list {
		if _, err := m.makeBridge(ctx, n.Network, n.bridge); err != nil {
			errs = append(errs, fmt.Errorf("network %s: %w", n.Name, err))
		}
	}
	loose, err := m.loose()
	if err == nil && len(loose) > 0 {
		var gone []string
		gone, err = m.plugLoose(loose)
		slices.Sort(gone)
		for _, network := range slices.Compact(gone) {
			_, upErr := m.up(ctx, network)
			errs = append(errs, upErr)
		}
	}
	return errors.Join(append(errs, err, m.reloadRules(ctx))...)
}

// reloadRules makes all our rules anew.
func (m *Manager) reloadRules(ctx context.Context) error {
	networks, err := m.upNetworks()
	if err != nil || len(networks) == 0 {
		return err
	}
	return m.installRules(ctx, networks, true)
}

// mendRules makes them anew where they are not as they should be.
func (m *Manager) mendRules(ctx context.Context) error {
	if m.standing() {
		return nil
	}
	return m.reloadRules(ctx)
}

// removeRules deletes all our rules, chains and hooks of a variant.
func (m *Manager) removeRules(ctx context.Context, v variant) error {
	networks, err := m.List()
	if err != nil {
		return err
	}
	return m.eachFamily(true, func(f family, _ variant) error {
		saved, err := v.save(ctx, f)
		var missing *missingTool
		if errors.As(err, &missing) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := v.restore(ctx, f, saved.ours(networks)); err != nil {
			return err
		}
		if saved, err = v.save(ctx, f); err != nil {
			return err
		}
		changes, _ := saved.uninstall(f, networkTag(""))
		return v.restore(ctx, f, changes)
	})
}

// publishedRules returns the rules of all ports that are published, by the container's id.
func (m *Manager) publishedRules(f family) (map[string][]change, error) {
	entries, err := os.ReadDir(filepath.Join(m.dir.Run, "published"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rules := make(map[string][]change)
	for _, e := range entries {
		n, err := m.dir.ReadNet(e.Name())
		if err != nil {
			continue // what cannot be read has no rules that we could know, and is not to hinder the others
		}
		rules[e.Name()] = f.portRules(e.Name(), n)
	}
	return rules, nil
}
