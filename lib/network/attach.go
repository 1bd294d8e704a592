package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Attach returns the stage that connects a container for the first time: it leases addresses, reserves host ports, makes
// the namespace and its links, and publishes the ports. The document gets the path of the namespace and a hook that undoes
// all of this.
func (m *Manager) Attach(o Options) spec.Stage {
	return func(ctx context.Context, s *spec.Spec) error {
		id := s.ID()
		p, err := o.plan(s.Annotation(spec.AnnotationExposed))
		if err != nil {
			return err
		}
		unlock, err := m.lockContainer(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
		before, err := m.dir.ReadNet(id)
		if err != nil {
			return err
		}
		if before.Mode != "" {
			return fmt.Errorf("container %s is attached already", id)
		}
		n := state.Net{Mode: p.mode, Ports: p.ports, Names: slices.Compact([]string{s.Name(), s.ID()}), Hostname: s.Hostname}
		n.Unnamed = o.Unnamed && len(n.Names) == 1 && !slices.ContainsFunc(p.joins, func(j join) bool { return len(j.aliases) > 0 })
		path, err := m.attach(ctx, id, &n, p.joins)
		if err == nil {
			err = s.AddRelease(m.dir.Env(), "md-net", "detach", id)
		}
		if err != nil {
			undone := m.forget(context.WithoutCancel(ctx), id, n)
			if undone != nil { // the undo of the document tries again
				undone = errors.Join(undone, s.AddRelease(m.dir.Env(), "md-net", "detach", id))
			}
			return errors.Join(err, undone)
		}
		describe(s, n, path)
		return nil
	}
}

// attach leases and reserves what the container needs, stores the record, and makes the links. It returns the path of the
// namespace. After an error n still lists what has been leased and reserved.
func (m *Manager) attach(ctx context.Context, id string, n *state.Net, joins []join) (path string, err error) {
	// Leases of an id without a bundle count as orphans.
	if err := os.MkdirAll(m.dir.Bundle(id), 0o700); err != nil {
		return "", err
	}
	if strings.HasPrefix(n.Mode, state.ModeContainer) {
		other, err := m.dir.Resolve(strings.TrimPrefix(n.Mode, state.ModeContainer))
		if err != nil {
			return "", fmt.Errorf("network %s: %w", n.Mode, err)
		}
		n.Mode = state.ModeContainer + other // the id: a name can move to another container
	}
	if joins, err = m.meant(joins); err != nil {
		return "", err
	}
	if err := m.checkReach(n.Ports, joins); err != nil {
		return "", err
	}
	if err := m.reservePorts(ctx, n.Ports, id); err != nil { // chooses the ports that are 0
		return "", err
	}
	var ups []uplink
	for _, j := range joins {
		e, up, err := m.newEndpoint(ctx, j.network, id, j.endpointOptions)
		if err != nil {
			return "", err
		}
		n.Endpoints, ups = append(n.Endpoints, e), append(ups, up)
	}
	// Before the links are made, so that they are found after a SIGKILL.
	if err := m.writeNet(id, *n); err != nil {
		return "", err
	}
	return m.plugIn(ctx, id, *n, ups)
}

// meant returns joins with the names of networks for docker's name of the default one.
func (m *Manager) meant(joins []join) ([]join, error) {
	seen := make(map[string]bool)
	joins = slices.Clone(joins)
	for i := range joins {
		name := m.named(joins[i].network)
		if seen[name] {
			return nil, fmt.Errorf("network %s: named twice", name)
		}
		joins[i].network, seen[name] = name, true
	}
	return joins, nil
}

// Up connects a kept container again, with the same addresses and ports.
func (m *Manager) Up(ctx context.Context, s *spec.Spec) error {
	id := s.ID()
	unlock, err := m.lockContainer(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	n, err := m.dir.ReadNet(id)
	if err != nil {
		return err
	}
	if n.Mode == "" {
		return fmt.Errorf("container %s has never been attached to a network", id)
	}
	// Remove what a killed start has left.
	if err := m.unplugAll(ctx, id, n); err != nil {
		return err
	}
	// After that, because then there is nothing to publish, which could fail again.
	if n, err = m.settled(ctx, id, n); err != nil {
		return err
	}
	path, err := m.plugInAgain(ctx, id, n)
	if err != nil {
		return errors.Join(err, m.unplugAll(context.WithoutCancel(ctx), id, n))
	}
	setNamespace(s, n.Mode, path)
	return nil
}

// plugInAgain reserves the ports, renews the leases, and makes the links of a stopped container.
func (m *Manager) plugInAgain(ctx context.Context, id string, n state.Net) (path string, err error) {
	if err := m.reservePorts(ctx, n.Ports, id); err != nil {
		return "", err
	}
	if err := m.renew(n.Endpoints, id); err != nil {
		return "", err
	}
	ups, err := m.uplinks(ctx, n.Endpoints)
	if err != nil {
		return "", err
	}
	return m.plugIn(ctx, id, n, ups)
}

// newEndpoint brings a network up and leases addresses of it.
func (m *Manager) newEndpoint(ctx context.Context, network, id string, o endpointOptions) (e state.Endpoint, up uplink, err error) {
	unlock, err := m.lock()
	if err != nil {
		return e, up, err
	}
	defer unlock()
	// The bridge comes first, because it fixes the addresses of the default network.
	if up, err = m.up(ctx, network); err != nil {
		return e, up, err
	}
	eid := state.NewID()
	e = state.Endpoint{
		ID: eid, Network: up.Name, Driver: up.Driver, Internal: up.Internal, Aliases: o.aliases,
		HostLink: "veth-" + eid[:8], Link: cmp.Or(o.link, "ceth-"+eid[:8]),
	}
	if e.Address, err = m.lease(up.Network, state.IPv4, o.address, id); err != nil {
		return e, up, err
	}
	if up.has6() || o.address6.IsValid() {
		if e.Address6, err = m.lease(up.Network, state.IPv6, o.address6, id); err != nil {
			return e, up, errors.Join(err, m.free(up.Name, e.Address.Addr(), id))
		}
	}
	if o.mac == nil {
		o.mac = link.MACOf(e.Address.Addr())
	}
	e.MAC = o.mac.String()
	return e, up, nil
}

// plugIn makes what the record says, and returns the path of the namespace: "" for the host's. ups are the networks of the
// endpoints.
func (m *Manager) plugIn(ctx context.Context, id string, n state.Net, ups []uplink) (path string, err error) {
	if !n.OwnsNamespace() {
		if path, err = m.sharedNamespace(n.Mode); err != nil {
			return path, err
		}
		return path, m.hosts.Add(id, n, m.gatewayOf(n))
	}
	path = n.Namespace(m.dir, id)
	published := inBackground(func() error { return m.publish(ctx, id, n) })
	if err := m.setUpNetNS(n, ups, path); err != nil {
		return "", errors.Join(err, published())
	}
	// The undo of an error must not overtake the publishing.
	if err := errors.Join(m.hosts.Add(id, n, m.gatewayOf(n)), published()); err != nil {
		return path, err
	}
	return path, m.answerOnLoopback6(n)
}

// inBackground starts a function and returns one that waits for its end. While shell commands are traced it runs the
// function at once, so that they are in order.
func inBackground(do func() error) (wait func() error) {
	if linux.Tracing() {
		err := do()
		return func() error { return err }
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	return sync.OnceValue(func() error { return <-done })
}

// setUpNetNS makes the namespace at path, unless it is another program's, and connects it.
func (m *Manager) setUpNetNS(n state.Net, ups []uplink, path string) error {
	host, err := m.host()
	if err != nil {
		return err
	}
	enter, own := linux.InNetNS, n.NetNS == ""
	if own {
		enter = linux.NewNetNS
	}
	return enter(path, func() error {
		inside, err := link.Open(link.Within(path)...)
		if err != nil {
			return err
		}
		defer inside.Close()
		if own {
			if err := inside.SetLoopbackUp(); err != nil {
				return err
			}
		}
		for i, e := range n.Endpoints {
			if err := link.Plug(host, inside, ups[i].bridge, e, path, ups[i].gatewaysFor(n, i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// gatewaysFor returns the gateways of the default routes over endpoint i: one for each family whose outlet it is.
func (n Network) gatewaysFor(c state.Net, i int) []netip.Addr {
	var list []netip.Addr
	for _, f := range state.Families() {
		if c.Outlet(f) == i {
			list = append(list, n.gateway(c.Endpoints[i].AddressOf(f).Addr()))
		}
	}
	return list
}

// gatewayOf returns the address of the host for a container, invalid if it has none.
func (m *Manager) gatewayOf(n state.Net) netip.Addr {
	if n.Mode == state.ModeHost {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if len(n.Endpoints) == 0 {
		return netip.Addr{}
	}
	e := n.Endpoints[max(n.Outlet(state.IPv4), 0)]
	network, err := m.load(e.Network)
	if err != nil {
		return netip.Addr{}
	}
	return network.gateway(e.Address.Addr())
}

// publish adds the rules of a container's ports, which are reserved.
func (m *Manager) publish(ctx context.Context, id string, n state.Net) error {
	if len(n.Ports) == 0 || n.Outlet(state.IPv4) < 0 {
		return nil
	}
	err := m.firewall.Publish(ctx, id, n)
	if err != nil { // the firewall may have been flushed, and some of the rules may be there
		if err := errors.Join(m.firewall.RemoveContainer(ctx, id), m.reload(ctx)); err != nil {
			return err
		}
		err = m.firewall.Publish(ctx, id, n)
	}
	if err != nil {
		return err
	}
	return link.ForgetUnpublished(n)
}

// answerOnLoopback6 makes ports that are published on ::1, or on every address, answer there. The links exist.
func (m *Manager) answerOnLoopback6(n state.Net) error {
	i := n.Outlet(state.IPv6)
	if i < 0 || n.Outlet(state.IPv4) < 0 || !slices.ContainsFunc(n.Ports, reachableOnLoopback6) {
		return nil
	}
	e := n.Endpoints[i]
	network, err := m.load(e.Network)
	if err != nil {
		return err
	}
	bridge, err := link.MustFind(network.Link)
	if err != nil {
		return err
	}
	return link.RedirectToBridge(bridge, e.HostLink, network.gateway(e.Address6.Addr()))
}

func reachableOnLoopback6(p state.Port) bool {
	return !p.HostIP.IsValid() || p.HostIP.IsLoopback() || p.HostIP.IsUnspecified()
}

// reservePorts reserves the host ports for container id, and chooses those that are 0.
func (m *Manager) reservePorts(ctx context.Context, ports []state.Port, id string) error {
	if len(ports) == 0 {
		return nil
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return m.ports.Reserve(ports, id, func(holder string) (string, error) {
		if !m.isGone(holder) {
			return m.containerName(holder), nil
		}
		// The container was removed without md-net. Its rules may remain, and would match before the new ones.
		return "", m.firewall.RemoveContainer(ctx, holder)
	})
}

// checkReach refuses ports that would lead nowhere in the networks of a container.
func (m *Manager) checkReach(ports []state.Port, joins []join) error {
	if len(ports) == 0 {
		return nil
	}
	reach := make(map[state.Family]bool)
	for _, j := range joins {
		n, err := m.load(j.network)
		if err != nil {
			return err
		}
		for _, f := range state.Families() {
			reach[f] = reach[f] || !n.Internal && len(n.subnets(f)) > 0
		}
	}
	for _, p := range ports {
		if !reach[state.IPv4] {
			return fmt.Errorf("publish %d/%s: network %s is internal", p.ContainerPort, p.Protocol, joins[0].network)
		}
		if p.HostIP.Is6() && !reach[state.IPv6] {
			return &noIPv6Error{p, joins[0].network}
		}
	}
	return nil
}

// noIPv6Error is the error for a port on an IPv6 address of a container without one.
type noIPv6Error struct {
	port    state.Port
	network string
}

func (e *noIPv6Error) Error() string {
	return fmt.Sprintf("publish %d/%s on %s: the container has no IPv6 address", e.port.ContainerPort, e.port.Protocol, e.port.HostIP)
}

// Hint says which networks have IPv6.
func (e *noIPv6Error) Hint() string {
	return "connect it to a network that was made with --ipv6: " + e.network + " has IPv4 only"
}

func (m *Manager) netPath(id string) string { return filepath.Join(m.dir.Bundle(id), state.NetFile) }

// writeNet stores a record, and for a kept container waits for the disk.
func (m *Manager) writeNet(id string, n state.Net) error {
	if err := state.WriteVolatile(m.netPath(id), n); err != nil || !m.dir.Kept(id) {
		return err
	}
	return m.dir.Persist(id, "")
}

// describe writes the container's network into the document: the path of the namespace, sysctls, and annotations.
func describe(s *spec.Spec, n state.Net, path string) {
	setNamespace(s, n.Mode, path)
	if n.OwnsNamespace() {
		relaxSysctls(s)
	}
	nets := []string{n.Mode}
	if n.Mode == state.ModeBridge {
		nets = nil
	}
	for _, e := range n.Endpoints {
		for _, addr := range e.Addresses() {
			nets = append(nets, e.Network+"="+addr.String())
		}
	}
	var ports []string
	for _, p := range n.Ports {
		ports = append(ports, p.String())
	}
	s.Annotate(spec.AnnotationNets, strings.Join(nets, ","))
	s.Annotate(spec.AnnotationPorts, strings.Join(ports, ","))
}
