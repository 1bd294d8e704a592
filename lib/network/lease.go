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

// lease gives container id an address of the network of one family: the one that it asked for, where that is
// valid, else a free one. When there is none left, the leases of containers that are gone are taken back.
func (m *Manager) lease(n Network, f family, want netip.Addr, id string) (netip.Prefix, error) {
	if want.IsValid() {
		return m.leaseOne(n, want, id)
	}
	addr, err := m.claimFree(n, f, id)
	if err != nil || addr.IsValid() {
		return addr, err
	}
	for _, addr := range m.leased(n.Name) {
		if holder := m.holder(n.Name, addr); f.has(addr) && m.gone(holder) {
			if err := errors.Join(flushAddresses(addr), m.free(n.Name, addr, holder)); err != nil {
				return netip.Prefix{}, err
			}
		}
	}
	addr, err = m.claimFree(n, f, id)
	if err == nil && !addr.IsValid() {
		err = noFree(n, f)
	}
	return addr, err
}

func noFree(n Network, f family) error {
	return fmt.Errorf("network %s: no free address in %s", n.Name, listed(n.subnets(f)))
}

// leaseOne gives the address that was asked for to container id.
func (m *Manager) leaseOne(n Network, addr netip.Addr, id string) (netip.Prefix, error) {
	f := familyOf(addr)
	i := slices.IndexFunc(n.IPNets, func(p netip.Prefix) bool { return isHost(addr, p) })
	switch {
	case f == ipv6 && !n.has6():
		return netip.Prefix{}, fmt.Errorf("network %s: %s: it has no IPv6 addresses", n.Name, addr)
	case i < 0:
		return netip.Prefix{}, fmt.Errorf("network %s: %s is no address for a host in %s", n.Name, addr, listed(n.subnets(f)))
	case addr == n.Gateways[i]:
		return netip.Prefix{}, fmt.Errorf("network %s: %s is the gateway's address", n.Name, addr)
	}
	if err := m.renewOne(n.Name, addr, id); err != nil {
		return netip.Prefix{}, fmt.Errorf("network %s: address %s: %w", n.Name, addr, err)
	}
	return netip.PrefixFrom(addr, n.IPNets[i].Bits()), nil
}

// claimFree claims the lowest address of a family that nobody holds. The zero Prefix says that there is none.
func (m *Manager) claimFree(n Network, f family, id string) (netip.Prefix, error) {
	held := make(map[netip.Addr]bool)
	for _, addr := range m.leased(n.Name) {
		held[addr] = true
	}
	for _, subnet := range n.subnets(f) {
		for addr := subnet.Addr().Next(); isHost(addr, subnet); addr = addr.Next() {
			if held[addr] || addr == n.gateway(addr) {
				continue
			}
			err := state.Claim(m.leasePath(n.Name, addr), id)
			var taken *state.TakenError
			if errors.As(err, &taken) {
				continue
			}
			return netip.PrefixFrom(addr, subnet.Bits()), err
		}
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
		for _, addr := range addresses(e) {
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
	case !state.IsID(taken.Holder) && m.holder(network, addr) == id: // torn, and ours
	case !m.gone(m.holder(network, addr)):
		return fmt.Errorf("taken by container %s", m.containerName(m.holder(network, addr)))
	}
	if err := errors.Join(flushAddresses(addr), m.free(network, addr, taken.Holder)); err != nil {
		return err
	}
	return state.Claim(m.leasePath(network, addr), id)
}

// free gives the address of container id back. It is idempotent.
func (m *Manager) free(network string, addr netip.Addr, id string) error {
	path := m.leasePath(network, addr)
	if _, err := os.Lstat(path); err == nil && !state.IsID(state.Holder(path)) && m.holder(network, addr) == id {
		return os.RemoveAll(path)
	}
	return state.Release(path, id)
}

// freeUnknown gives back all addresses of a network that container id holds.
func (m *Manager) freeUnknown(network, id string) error {
	var held []netip.Addr
	for _, addr := range m.leased(network) {
		if m.holder(network, addr) == id {
			held = append(held, addr)
		}
	}
	return errors.Join(flushAddresses(held...), state.ReleaseAll(m.leases(network), id))
}

// freeAll gives back the addresses of an endpoint.
func (m *Manager) freeAll(e state.Endpoint, id string) error {
	var errs []error
	for _, addr := range addresses(e) {
		errs = append(errs, m.free(e.Network, addr.Addr(), id))
	}
	return errors.Join(errs...)
}

func (m *Manager) leasePath(network string, addr netip.Addr) string {
	return filepath.Join(m.leases(network), addr.String())
}

// holder returns the id of the container that has the address. A lease that is torn is of the container that is connected
// by it.
func (m *Manager) holder(network string, addr netip.Addr) string {
	holder := state.Holder(m.leasePath(network, addr))
	if state.IsID(holder) {
		return holder
	}
	ids, _ := m.dir.IDs() // none that could have it
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
