package network

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Connect connects container id to another network, with an address and, if it runs, a link. Its other connections do not
// change.
func (m *Manager) Connect(ctx context.Context, network, id string, o ConnectOptions) error {
	network = m.named(network)
	var options endpointOptions
	if err := options.set(o); err != nil {
		return fmt.Errorf("network %s: %w", network, err)
	}
	return m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
		n, err := m.settled(ctx, id, n)
		switch {
		case err != nil:
			return err
		case m.isGone(id):
			return fmt.Errorf("container %s: %w", id, state.ErrNotFound)
		case !n.OwnsNamespace():
			return fmt.Errorf("network %s: container %s has no network namespace of its own", network, m.containerName(id))
		case n.EndpointIn(network) >= 0:
			return fmt.Errorf("network %s: container %s is connected already", network, m.containerName(id))
		}
		return m.connect(ctx, network, id, n, options)
	})
}

func (m *Manager) connect(ctx context.Context, network, id string, n state.Net, o endpointOptions) error {
	before := n
	n.Joining = network // so that a SIGKILL leaves nothing that is not found
	if err := state.WriteVolatile(m.netPath(id), n); err != nil {
		return err
	}
	e, up, err := m.newEndpoint(ctx, network, id, o)
	if err != nil {
		before.Joining = ""
		return errors.Join(err, m.writeNet(id, before))
	}
	n.Mode, n.Unnamed = state.ModeBridge, false
	n.Endpoints = append(slices.Clone(n.Endpoints), e)
	if m.isUp(id, n) {
		err = state.WriteVolatile(m.netPath(id), n)
		if err == nil {
			err = m.plugLast(ctx, id, before, n, up)
		}
	}
	if err == nil {
		done := n
		done.Joining = ""
		err = m.writeNet(id, done)
	}
	if err != nil {
		// This also publishes again what was withdrawn. If it fails, the record still says that it has to be done.
		n.Mode, n.Unnamed = before.Mode, before.Unnamed
		return errors.Join(err, m.disconnect(context.WithoutCancel(ctx), id, n, len(n.Endpoints)-1))
	}
	return nil
}

// plugLast makes the links of the last endpoint. If it is the outlet of a family, it also brings the default route and the
// ports. The outlet of IPv6 can be a later endpoint than that of IPv4.
func (m *Manager) plugLast(ctx context.Context, id string, before, n state.Net, up uplink) error {
	last := len(n.Endpoints) - 1
	host, err := m.host()
	if err != nil {
		return err
	}
	path := n.Namespace(m.dir, id)
	err = linux.InNetNS(path, func() error {
		inside, err := link.Open(link.Within(path)...)
		if err != nil {
			return err
		}
		defer inside.Close()
		return link.Plug(host, inside, up.bridge, n.Endpoints[last], path, up.gatewaysFor(n, last))
	})
	if err != nil {
		return err
	}
	if n.Outlet(state.IPv4) == last || n.Outlet(state.IPv6) == last {
		if err := m.withdraw(ctx, id, before); err != nil {
			return err
		}
		if err := errors.Join(m.publish(ctx, id, n), m.answerOnLoopback6(n)); err != nil {
			return err
		}
	}
	return m.hosts.Add(id, n, m.gatewayOf(n))
}

// Disconnect removes container id from a network. Default routes and ports that used this network move to the next one.
// With force it is no error if the container is not connected or is gone; what it still has in the network is freed.
func (m *Manager) Disconnect(ctx context.Context, network, id string, force bool) error {
	network = m.named(network)
	return m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
		again := n.Joining == network
		n, err := m.settled(ctx, id, n)
		if err != nil {
			return err
		}
		i := n.EndpointIn(network)
		switch {
		case i < 0 && again:
			return nil // the disconnect that failed before is complete now
		case i >= 0:
			n.Joining = network // so that the rest is done after a SIGKILL or an error
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
	isOutlet := n.Outlet(state.IPv4) == i || n.Outlet(state.IPv6) == i
	if !isOutlet || !m.isUp(id, n) {
		n.Joining = ""
		return m.unplug(id, n, i)
	}
	if err := m.withdraw(ctx, id, n); err != nil {
		return err
	}
	if err := m.unplug(id, n, i); err != nil {
		return err
	}
	return m.moveOutlet(ctx, id, n.Without(i))
}

// moveOutlet moves the default routes and ports of a container to its next network after a disconnect, and ends the
// disconnect.
func (m *Manager) moveOutlet(ctx context.Context, id string, n state.Net) error {
	if n.Outlet(state.IPv4) >= 0 {
		if !m.ports.Has(n.Ports, id) {
			if err := m.reservePorts(ctx, n.Ports, id); err != nil {
				return err
			}
		}
		if err := errors.Join(m.addRoutes(id, n), m.publish(ctx, id, n), m.answerOnLoopback6(n)); err != nil {
			return err
		}
	}
	n.Joining = ""
	return m.writeNet(id, n)
}

// unplug removes endpoint i: its lines in hosts files, its links, its entry in net.json, and its leases.
func (m *Manager) unplug(id string, n state.Net, i int) error {
	e := n.Endpoints[i]
	return errors.Join(
		m.hosts.Leave(e.Network, id),
		link.Delete(e.HostLink),
		link.ForgetAddresses(state.Net{Endpoints: []state.Endpoint{e}}.Addresses()...),
		m.writeNet(id, n.Without(i)),
		m.freeAll(e, id))
}

// addRoutes adds the default routes of a container that has lost them.
func (m *Manager) addRoutes(id string, n state.Net) error {
	path := n.Namespace(m.dir, id)
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
			inside := link.Here(link.Within(path)...)
			dev, err := inside.MustFind(e.Link)
			if err != nil {
				return err
			}
			return inside.AddDefaultRoutes(dev, gateways)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
