package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// A lease is a file named by an address that holds the id of the container that has it. It is made
// by one link(2) call ([state.Claim]), so that two cannot have one.

func (m *Manager) leases(network string) string { return filepath.Join(m.path(network), "leases") }

// lease gives a free address of the network to container id. When there is none left, the leases of
// containers that are gone are taken back.
func (m *Manager) lease(n Network, id string) (netip.Prefix, error) {
	addr, err := m.claimFree(n, id)
	if err != nil || addr.IsValid() {
		return addr, err
	}
	for _, addr := range m.leased(n.Name) {
		if holder := m.holder(n.Name, addr); m.gone(holder) {
			if err := m.free(n.Name, addr, holder); err != nil {
				return netip.Prefix{}, err
			}
		}
	}
	addr, err = m.claimFree(n, id)
	if err == nil && !addr.IsValid() {
		err = fmt.Errorf("network %s: no free address in %s", n.Name, n.IPNets[0])
	}
	return addr, err
}

// leaseOne gives the address that was asked for to container id.
func (m *Manager) leaseOne(n Network, addr netip.Addr, id string) (netip.Prefix, error) {
	subnet := n.IPNets[0]
	switch {
	case !subnet.Contains(addr) || addr == subnet.Addr() || addr == broadcast(subnet):
		return netip.Prefix{}, fmt.Errorf("network %s: %s is no address for a host in %s", n.Name, addr, subnet)
	case addr == n.Gateways[0]:
		return netip.Prefix{}, fmt.Errorf("network %s: %s is the gateway's address", n.Name, addr)
	}
	if err := m.renewOne(n.Name, addr, id); err != nil {
		return netip.Prefix{}, fmt.Errorf("network %s: address %s: %w", n.Name, addr, err)
	}
	return netip.PrefixFrom(addr, subnet.Bits()), nil
}

// claimFree claims the lowest address that nobody holds. The zero Prefix says that there is none.
func (m *Manager) claimFree(n Network, id string) (netip.Prefix, error) {
	held := make(map[netip.Addr]bool)
	for _, addr := range m.leased(n.Name) {
		held[addr] = true
	}
	subnet, last := n.IPNets[0], broadcast(n.IPNets[0])
	for addr := subnet.Addr().Next(); addr.Less(last); addr = addr.Next() {
		if held[addr] || addr == n.Gateways[0] {
			continue
		}
		err := state.Claim(m.leasePath(n.Name, addr), id)
		var taken *state.TakenError
		if errors.As(err, &taken) {
			continue
		}
		return netip.PrefixFrom(addr, subnet.Bits()), err
	}
	return netip.Prefix{}, nil
}

// renew makes sure that container id still has its addresses, as it should after a stop.
func (m *Manager) renew(endpoints []state.Endpoint, id string) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	for _, e := range endpoints {
		if _, err := m.load(e.Network); err != nil {
			return err
		}
		if err := m.renewOne(e.Network, e.Address.Addr(), id); err != nil {
			return fmt.Errorf("network %s: address %s: %w", e.Network, e.Address.Addr(), err)
		}
	}
	return nil
}

func (m *Manager) renewOne(network string, addr netip.Addr, id string) error {
	err := state.Claim(m.leasePath(network, addr), id)
	var taken *state.TakenError
	switch {
	case !errors.As(err, &taken):
		return err
	case taken.Holder == id:
		return nil
	case !m.gone(taken.Holder):
		return fmt.Errorf("taken by container %s", m.containerName(taken.Holder))
	}
	if err := m.free(network, addr, taken.Holder); err != nil {
		return err
	}
	return state.Claim(m.leasePath(network, addr), id)
}

// free gives the address of container id back. It is idempotent.
func (m *Manager) free(network string, addr netip.Addr, id string) error {
	return state.Release(m.leasePath(network, addr), id)
}

func (m *Manager) leasePath(network string, addr netip.Addr) string {
	return filepath.Join(m.leases(network), addr.String())
}

// holder returns the id of the container that has the address.
func (m *Manager) holder(network string, addr netip.Addr) string {
	return state.Holder(m.leasePath(network, addr))
}

// leased returns the addresses of the network that are in use.
func (m *Manager) leased(network string) []netip.Addr {
	entries, _ := os.ReadDir(m.leases(network)) // no leases, no directory
	addrs := make([]netip.Addr, 0, len(entries))
	for _, e := range entries {
		if addr, err := netip.ParseAddr(e.Name()); err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// users returns the ids of the containers that hold an address of the network, in order.
func (m *Manager) users(network string) []string {
	var ids []string
	for _, addr := range m.leased(network) {
		if id := m.holder(network, addr); !m.gone(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// userNames returns who uses a network, for people: "container web", "containers db, web".
func (m *Manager) userNames(network string) string {
	names := m.users(network)
	for i, id := range names {
		names[i] = m.containerName(id)
	}
	slices.Sort(names)
	if len(names) == 1 {
		return "container " + names[0]
	}
	return "containers " + strings.Join(names, ", ")
}

// gone reports whether there is no container id any more, and no namespace that is attached under it.
func (m *Manager) gone(id string) bool {
	if !state.IsID(id) {
		return true
	}
	if _, err := os.Stat(m.dir.Bundle(id)); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if _, err := os.Stat(m.dir.Config(id)); err == nil {
		return false // a container, whose addresses survive its namespace
	}
	n, err := m.dir.ReadNet(id)
	return err == nil && n.NetNS != "" && m.lost(id, n)
}

// containerName returns the name of a container, or its id where it has none or is being made.
func (m *Manager) containerName(id string) string {
	if c, err := m.dir.Load(id); err == nil {
		return c.Spec.Name()
	}
	return id
}
