package network

import (
	"context"
	"net/netip"

	"github.com/weikeit/mydocker/lib/state"
)

// publish makes the rules of a container's ports, which are claimed and lead to its first address.
func (m *Manager) publish(ctx context.Context, id string, n state.Net) error {
	if len(n.Ports) == 0 || len(n.Endpoints) == 0 {
		return nil
	}
	to := n.Endpoints[0]
	if publishPorts(ctx, id, to.Address.Addr(), n.Ports) == nil {
		return nil
	}
	// The chain may be gone with a flushed firewall: put the network's rules back and try again.
	if err := m.repair(ctx, to.Network); err != nil {
		return err
	}
	return publishPorts(ctx, id, to.Address.Addr(), n.Ports)
}

// repair puts the rules of a network back in place.
func (m *Manager) repair(ctx context.Context, network string) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	n, err := m.load(network)
	if err != nil {
		return err
	}
	return installRules(ctx, n.Link, n.IPNets[0])
}

// unpublish deletes the rules of a container's ports and gives them back. There are no rules without a
// claim on the ports, which is kept where deleting them fails.
func (m *Manager) unpublish(ctx context.Context, id string, n state.Net) error {
	if !m.holdsPorts(n.Ports, id) {
		return nil
	}
	if len(n.Endpoints) > 0 {
		if err := unpublishPorts(ctx, id, n.Endpoints[0].Address.Addr(), n.Ports); err != nil {
			return err
		}
	}
	return m.releasePorts(n.Ports, id)
}

// publishPorts makes the rules of a container's ports: one process.
func publishPorts(ctx context.Context, id string, to netip.Addr, ports []state.Port) error {
	return restoreRules(ctx, portRules(id, to, ports))
}

// unpublishPorts deletes the rules of a container's ports: one process where they are all there.
func unpublishPorts(ctx context.Context, id string, to netip.Addr, ports []state.Port) error {
	if restoreRules(ctx, deletions(portRules(id, to, ports))) == nil {
		return nil
	}
	// Somebody flushed or changed them: look for what is left.
	return uninstallRules(ctx, containerTag(id))
}
