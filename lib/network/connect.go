package network

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Connect gives container id an address of one more network and, where it runs, a link to it. Its other
// connections are not touched.
func (m *Manager) Connect(ctx context.Context, network, id string) error {
	return m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
		switch {
		case m.gone(id):
			return fmt.Errorf("container %s: %w", id, state.ErrNotFound)
		case !ownsNamespace(n.Mode):
			return fmt.Errorf("network %s: container %s has no network namespace of its own", network, m.containerName(id))
		case endpointOf(n, network) >= 0:
			return fmt.Errorf("network %s: container %s is connected already", network, m.containerName(id))
		}
		e, err := m.newEndpoint(ctx, network, id, wish{})
		if err != nil {
			return err
		}
		n.Mode = modeBridge
		n.Endpoints = append(slices.Clone(n.Endpoints), e)
		err = m.writeNet(id, n)
		if err == nil && m.isUp(id, n) {
			err = m.plugLast(ctx, id, n)
		}
		if err != nil {
			return errors.Join(err, m.unplug(context.WithoutCancel(ctx), id, n, len(n.Endpoints)-1))
		}
		return nil
	})
}

// plugLast makes the links of the newest endpoint. The first one of all also brings the default route
// and the ports.
func (m *Manager) plugLast(ctx context.Context, id string, n state.Net) error {
	last := len(n.Endpoints) - 1
	if err := m.plugIn(ctx, n.Endpoints[last], m.namespacePath(id, n), last == 0); err != nil {
		return err
	}
	if last > 0 {
		return nil
	}
	if err := m.claimPorts(ctx, n.Ports, id); err != nil {
		return err
	}
	return m.publish(ctx, id, n)
}

// Disconnect takes container id from a network. Where the default route or the ports went by that one, they go
// by the next.
func (m *Manager) Disconnect(ctx context.Context, network, id string) error {
	return m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
		i := endpointOf(n, network)
		if i < 0 {
			return fmt.Errorf("network %s: container %s is not connected", network, m.containerName(id))
		}
		if i > 0 || !m.isUp(id, n) {
			return m.unplug(ctx, id, n, i)
		}
		if err := m.unpublish(ctx, id, n); err != nil {
			return err
		}
		if err := m.unplug(ctx, id, n, i); err != nil {
			return err
		}
		n.Endpoints = n.Endpoints[1:]
		if len(n.Endpoints) == 0 {
			return nil
		}
		if err := m.claimPorts(ctx, n.Ports, id); err != nil {
			return err
		}
		return errors.Join(m.routeBy(n.Endpoints[0], m.namespacePath(id, n)), m.publish(ctx, id, n))
	})
}

// unplug removes one endpoint: its links, its place in net.json, and its lease.
func (m *Manager) unplug(_ context.Context, id string, n state.Net, i int) error {
	e := n.Endpoints[i]
	n.Endpoints = slices.Delete(slices.Clone(n.Endpoints), i, i+1)
	return errors.Join(deleteLink(e.HostLink), m.writeNet(id, n), m.free(e.Network, e.Address.Addr(), id))
}

// routeBy makes the endpoint's gateway that of the namespace at path.
func (m *Manager) routeBy(e state.Endpoint, path string) error {
	n, err := m.load(e.Network)
	if err != nil {
		return err
	}
	return linux.InNetNS(path, func() error {
		link, err := netlink.LinkByName(e.Link)
		if err != nil {
			return fmt.Errorf("look for link %s: %w", e.Link, err)
		}
		return addDefaultRoute(link, n.Gateways[0], within(path)...)
	})
}

// isUp reports whether container id has its namespace, so that links can be made in it.
func (m *Manager) isUp(id string, n state.Net) bool {
	if n.NetNS != "" {
		return reachable(n) && !m.lost(id, n)
	}
	return linux.CheckNetNS(m.dir.NetNS(id)) == nil
}

// endpointOf returns the index of the container's endpoint in a network, -1 where it has none.
func endpointOf(n state.Net, network string) int {
	return slices.IndexFunc(n.Endpoints, func(e state.Endpoint) bool { return e.Network == network })
}
