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

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/state"
)

// A lease is a file whose name is an address and whose content is the id of the container that has it. One link(2) call
// makes it ([state.Claim]), so two containers cannot have the same address.

func (m *Manager) leases(network string) string { return filepath.Join(m.path(network), "leases") }

// lease leases an address of a family to container id: the requested one if it is valid, or else a free one. If none is
// free, the leases of containers that are gone are freed.
func (m *Manager) lease(n Network, f state.Family, want netip.Addr, id string) (netip.Prefix, error) {
	if want.IsValid() {
		return m.leaseOne(n, want, id)
	}
	addr, err := m.leaseFree(n, f, id)
	if err != nil || addr.IsValid() {
		return addr, err
	}
	for _, addr := range m.leased(n.Name) {
		if holder := m.holder(n.Name, addr); f.Has(addr) && m.isGone(holder) {
			if err := errors.Join(link.ForgetAddresses(addr), m.free(n.Name, addr, holder)); err != nil {
				return netip.Prefix{}, err
			}
		}
	}
	addr, err = m.leaseFree(n, f, id)
	if err == nil && !addr.IsValid() {
		err = noFree(n, f)
	}
	return addr, err
}

func noFree(n Network, f state.Family) error {
	return fmt.Errorf("network %s: no free address in %s", n.Name, listed(n.subnets(f)))
}

// leaseOne leases a requested address to container id.
func (m *Manager) leaseOne(n Network, addr netip.Addr, id string) (netip.Prefix, error) {
	f := state.FamilyOf(addr)
	i := slices.IndexFunc(n.IPNets, func(p netip.Prefix) bool { return isHost(addr, p) })
	switch {
	case f == state.IPv6 && !n.has6():
		return netip.Prefix{}, fmt.Errorf("network %s: address %s: the network has no IPv6", n.Name, addr)
	case i < 0:
		return netip.Prefix{}, fmt.Errorf("network %s: address %s is not a host address in %s", n.Name, addr, listed(n.subnets(f)))
	case addr == n.Gateways[i]:
		return netip.Prefix{}, fmt.Errorf("network %s: address %s is the gateway's", n.Name, addr)
	}
	if err := m.renewOne(n.Name, addr, id); err != nil {
		return netip.Prefix{}, fmt.Errorf("network %s: address %s: %w", n.Name, addr, err)
	}
	return netip.PrefixFrom(addr, n.IPNets[i].Bits()), nil
}

// leaseFree leases the lowest free address of a family. It returns the zero Prefix if there is none.
func (m *Manager) leaseFree(n Network, f state.Family, id string) (netip.Prefix, error) {
	taken := make(map[netip.Addr]bool)
	for _, addr := range m.leased(n.Name) {
		taken[addr] = true
	}
	for _, subnet := range n.subnets(f) {
		for addr := subnet.Addr().Next(); isHost(addr, subnet); addr = addr.Next() {
			if taken[addr] || addr == n.gateway(addr) {
				continue
			}
			err := state.Claim(m.leasePath(n.Name, addr), id)
			var other *state.TakenError
			if errors.As(err, &other) {
				continue
			}
			return netip.PrefixFrom(addr, subnet.Bits()), err
		}
	}
	return netip.Prefix{}, nil
}

// renew leases the addresses of a stopped container again, if it has lost them.
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
		for _, addr := range e.Addresses() {
			if err := m.renewOne(e.Network, addr.Addr(), id); err != nil {
				return fmt.Errorf("network %s: address %s: %w", e.Network, addr.Addr(), err)
			}
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
	case !state.IsID(taken.Holder) && m.holder(network, addr) == id: // a torn lease of ours
	case !m.isGone(m.holder(network, addr)):
		return fmt.Errorf("taken by container %s", m.containerName(m.holder(network, addr)))
	}
	if err := errors.Join(link.ForgetAddresses(addr), m.free(network, addr, taken.Holder)); err != nil {
		return err
	}
	return state.Claim(m.leasePath(network, addr), id)
}

// free frees the address of container id. It is idempotent.
func (m *Manager) free(network string, addr netip.Addr, id string) error {
	path := m.leasePath(network, addr)
	if _, err := os.Lstat(path); err == nil && !state.IsID(state.Holder(path)) && m.holder(network, addr) == id {
		return os.RemoveAll(path)
	}
	return state.Release(path, id)
}

// freeUnknown frees all addresses that container id has in a network.
func (m *Manager) freeUnknown(network, id string) error {
	var held []netip.Addr
	for _, addr := range m.leased(network) {
		if m.holder(network, addr) == id {
			held = append(held, addr)
		}
	}
	return errors.Join(link.ForgetAddresses(held...), state.ReleaseAll(m.leases(network), id))
}

func (m *Manager) leasePath(network string, addr netip.Addr) string {
	return filepath.Join(m.leases(network), addr.String())
}

// holder returns the id of the container that has an address. If the lease is torn, it looks for the address in the
// containers' records.
func (m *Manager) holder(network string, addr netip.Addr) string {
	holder := state.Holder(m.leasePath(network, addr))
	if state.IsID(holder) {
		return holder
	}
	ids, _ := m.dir.IDs() // unreadable: no container has it
	for _, id := range ids {
		n, err := m.dir.ReadNet(id)
		if err == nil && slices.ContainsFunc(n.Endpoints, func(e state.Endpoint) bool {
			return e.Network == network && (e.Address.Addr() == addr || e.Address6.Addr() == addr)
		}) {
			return id
		}
	}
	return holder
}

// leased returns the leased addresses of a network.
func (m *Manager) leased(network string) []netip.Addr {
	entries, _ := os.ReadDir(m.leases(network)) // missing if there are no leases
	addrs := make([]netip.Addr, 0, len(entries))
	for _, e := range entries {
		if addr, err := netip.ParseAddr(e.Name()); err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// users returns the ids of the containers with an address of a network, sorted.
func (m *Manager) users(network string) []string {
	var ids []string
	for _, addr := range m.leased(network) {
		if id := m.holder(network, addr); !m.isGone(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// userNames names the containers of a network for messages: "container web", "containers db, web".
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

// isGone reports whether there is neither a container nor an attached namespace with an id.
func (m *Manager) isGone(id string) bool {
	if !state.IsID(id) {
		return true
	}
	if _, err := os.Stat(m.dir.Bundle(id)); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if _, err := os.Stat(m.dir.Config(id)); err == nil {
		return false // a container keeps its addresses without its namespace
	}
	n, err := m.dir.ReadNet(id)
	return err == nil && n.NetNS != "" && m.isLost(id, n)
}

// containerName returns the name of a container, or its id if it has none or is being made.
func (m *Manager) containerName(id string) string {
	if c, err := m.dir.Load(id); err == nil {
		return c.Spec.Name()
	}
	return id
}
