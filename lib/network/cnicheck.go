package network

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// cniCheck returns an error where something that ADD made is missing or is not as the result of it says
// (CNI specification, section 2 "CHECK"). Routes are not looked at: plugins behind us may change them.
func (m *Manager) cniCheck(ctx context.Context, c call) error {
	previous, err := c.conf.previous()
	if err != nil {
		return err
	}
	n, err := m.dir.ReadNet(c.id())
	if err != nil {
		return err
	}
	if n.CNI != c.names || len(n.Endpoints) == 0 {
		return &cniError{codeUnknownContainer, fmt.Errorf("container %s is not attached by %s", c.names.ContainerID, c.names.IfName)}
	}
	e := n.Endpoints[0]
	if err := previous.expect(c, e); err != nil {
		return err
	}
	for _, addr := range addresses(e) {
		if holder := m.holder(e.Network, addr.Addr()); holder != c.id() {
			return fmt.Errorf("network %s: address %s is not leased to it", e.Network, addr.Addr())
		}
	}
	if err := m.checkHostLink(e); err != nil {
		return err
	}
	if err := linux.InNetNS(c.netns, func() error { return checkLink(e) }); err != nil {
		return fmt.Errorf("namespace %s: %w", c.netns, err)
	}
	return m.checkPublished(ctx, c.id(), n)
}

// checkHostLink looks at the host's end of an endpoint and at the bridge.
func (m *Manager) checkHostLink(e state.Endpoint) error {
	n, err := m.load(e.Network)
	if err != nil {
		return err
	}
	bridge, err := mustFindLink(n.Link)
	if err != nil {
		return err
	}
	link, err := mustFindLink(e.HostLink)
	if err != nil {
		return err
	}
	if link.Attrs().MasterIndex != bridge.Attrs().Index {
		return fmt.Errorf("link %s is not connected to bridge %s", e.HostLink, n.Link)
	}
	return nil
}

// checkLink looks at the container's end, in the namespace of the calling thread.
func checkLink(e state.Endpoint) error {
	link, err := mustFindLink(e.Link)
	if err != nil {
		return err
	}
	if mac := link.Attrs().HardwareAddr.String(); mac != e.MAC {
		return fmt.Errorf("link %s has the hardware address %s, not %s", e.Link, mac, e.MAC)
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", e.Link, err)
	}
	for _, want := range addresses(e) {
		if !slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.IPNet.String() == want.String() }) {
			return fmt.Errorf("link %s lacks the address %s", e.Link, want)
		}
	}
	return nil
}

// checkPublished looks for the rules of the container's ports.
func (m *Manager) checkPublished(ctx context.Context, id string, n state.Net) error {
	if len(n.Ports) == 0 {
		return nil
	}
	return m.lookAtFamilies(outlet(n, ipv6) >= 0, func(f family, v variant) error {
		saved, err := v.save(ctx, f)
		if err != nil {
			return err
		}
		found, _ := saved.tagged(containerTag(id))
		if want := len(f.portRules(id, n)); len(found) != want {
			return fmt.Errorf("published ports: the firewall has %d rules for them, not %d", len(found), want)
		}
		return nil
	})
}
