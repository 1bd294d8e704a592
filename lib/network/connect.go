package network

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Connect gives container id an address of one more network and, where it runs, a link to it. Its other
// connections are not touched.
func (m *Manager) Connect(ctx context.Context, network, id string, o ConnectOptions) error {
	w, err := o.wish()
	if err != nil {
		return fmt.Errorf("network %s: %w", network, err)
	}
	return m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
		switch {
		case m.gone(id):
			return fmt.Errorf("container %s: %w", id, state.ErrNotFound)
		case !ownsNamespace(n.Mode):
			return fmt.Errorf("network %s: container %s has no network namespace of its own", network, m.containerName(id))
		case endpointOf(n, network) >= 0:
			return fmt.Errorf("network %s: container %s is connected already", network, m.containerName(id))
		}
		if err := m.dropJoining(id, n); err != nil {
			return err
		}
		before := n
		n.Joining = network // so that what is made from now on is found even after a SIGKILL
		if err := state.WriteVolatile(m.netPath(id), n); err != nil {
			return err
		}
		e, up, err := m.newEndpoint(ctx, network, id, w)
		if err != nil {
			before.Joining = ""
			return errors.Join(err, m.writeNet(id, before))
		}
		n.Mode, n.Unnamed = modeBridge, false
		n.Endpoints = append(slices.Clone(n.Endpoints), e)
		if m.isUp(id, n) {
			err = state.WriteVolatile(m.netPath(id), n)
			if err == nil {
				err = m.plugLast(ctx, id, before, n, up)
			}
		}
		n.Joining = ""
		if err == nil {
			err = m.writeNet(id, n)
		}
		if err != nil {
			return errors.Join(err, m.unplug(context.WithoutCancel(ctx), id, n, len(n.Endpoints)-1))
		}
		return nil
	})
}

// dropJoining gives back what a connect that was killed had claimed for container id, which is not connected there.
func (m *Manager) dropJoining(id string, n state.Net) error {
	if n.Joining == "" || endpointOf(n, n.Joining) >= 0 || state.CheckName("network", n.Joining) != nil {
		return nil
	}
	return m.freeUnknown(n.Joining, id)
}

// plugLast makes the links of the newest endpoint of n. The first one that has a way out also brings the default
// route and the ports: of IPv6, that may be a later one than of IPv4.
func (m *Manager) plugLast(ctx context.Context, id string, before, n state.Net, up uplink) error {
	last := len(n.Endpoints) - 1
	host, err := m.host()
	if err != nil {
		return err
	}
	path := m.namespacePath(id, n)
	err = linux.InNetNS(path, func() error {
		inside, err := openLinks(within(path)...)
		if err != nil {
			return err
		}
		defer inside.Close()
		return plug(host, inside, up, n.Endpoints[last], path, up.gatewaysFor(n, last))
	})
	if err != nil {
		return err
	}
	if outlet(n, ipv4) == last || outlet(n, ipv6) == last {
		if err := m.retract(ctx, id, before); err != nil {
			return err
		}
		if err := errors.Join(m.publish(ctx, id, n), m.openPorts6(n)); err != nil {
			return err
		}
	}
	return m.addNames(id, n)
}

// Disconnect takes container id from a network. Where the default routes or the ports went by that one, they go
// by the next. With force it is no error that the container is not connected, or not there any more: what it may
// still hold there is taken back.
func (m *Manager) Disconnect(ctx context.Context, network, id string, force bool) error {
	return m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
		i := endpointOf(n, network)
		switch {
		case i >= 0:
			n.Joining = network // so that the rest is done even after a SIGKILL
			if err := state.WriteVolatile(m.netPath(id), n); err != nil {
				return err
			}
			return m.disconnect(ctx, id, n, i)
		case !force:
			return fmt.Errorf("network %s: container %s is not connected", network, m.containerName(id))
		}
		if _, err := m.load(network); err != nil {
			return err
		}
		return m.freeUnknown(network, id)
	})
}

func (m *Manager) disconnect(ctx context.Context, id string, n state.Net, i int) error {
	leads := outlet(n, ipv4) == i || outlet(n, ipv6) == i
	if !leads || !m.isUp(id, n) {
		n.Joining = ""
		return m.unplug(ctx, id, n, i)
	}
	if err := m.retract(ctx, id, n); err != nil {
		return err
	}
	if err := m.unplug(ctx, id, n, i); err != nil {
		return err
	}
	n.Endpoints = slices.Delete(slices.Clone(n.Endpoints), i, i+1)
	return m.leadAgain(ctx, id, n)
}

// leadAgain makes default routes and ports go by another network than that which they went by, from which the container
// was taken, and notes that it was.
func (m *Manager) leadAgain(ctx context.Context, id string, n state.Net) error {
	if outlet(n, ipv4) >= 0 {
		if err := errors.Join(m.routeAgain(id, n), m.publish(ctx, id, n), m.openPorts6(n)); err != nil {
			return err
		}
	}
	n.Joining = ""
	return m.writeNet(id, n)
}

// unplug removes one endpoint: its names, its links, its place in net.json, and its lease.
func (m *Manager) unplug(_ context.Context, id string, n state.Net, i int) error {
	e := n.Endpoints[i]
	err := m.leaveNames(id, e.Network)
	n.Endpoints = slices.Delete(slices.Clone(n.Endpoints), i, i+1)
	return errors.Join(err, deleteLink(e.HostLink), flushEndpoints(e), m.writeNet(id, n), m.freeAll(e, id))
}

// routeAgain makes the default routes of a container that lost those that it had.
func (m *Manager) routeAgain(id string, n state.Net) error {
	path := m.namespacePath(id, n)
	for i, e := range n.Endpoints {
		network, err := m.load(e.Network)
		if err != nil {
			return err
		}
		gateways := network.gatewaysFor(n, i)
		if len(gateways) == 0 {
			continue
		}
		err = linux.InNetNS(path, func() error {
			l := links{here().Handle, within(path)}
			link, err := l.mustFind(e.Link)
			if err != nil {
				return err
			}
			return l.addDefaultRoutes(link, gateways)
		})
		if err != nil {
			return err
		}
	}
	return nil
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
