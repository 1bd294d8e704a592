// Package network connects containers: bridges on the host, veth pairs between them and the containers, addresses, and
// firewall rules that let traffic through and publish ports.
//
// A network is a directory, networks/NAME, with network.json and a lease for each address in use; a lease has the id of its
// container. A container's connections are in its net.json ([state.Net]). Both survive a reboot; bridges, links, namespaces
// and rules are made from them on demand, so nothing has to run at boot. Reading (List, Inspect) does not touch the kernel.
//
// A namespace of another program can be connected too: with [Manager.AttachTo], or by runtimes that use the Container
// Network Interface ([Manager.CNI]).
//
// The parts are packages without the manager: lib/link, lib/firewall, lib/hosts, lib/hostport and lib/cni.
//
// The cost of a connection is nearly all in the kernel: 1.3 ms to make the namespace and the links, and 10 to 30 ms to delete
// them, in parallel with other work ([link.Handle.Delete]). Our part is some 190 system calls through five sockets in both
// directions, and for ports one firewall process in each direction, which runs in parallel. doc/speed.md has the
// measurements.
//
// The network mydocker0 always exists. The first container that uses it makes its bridge.
package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/weikeit/mydocker/lib/firewall"
	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/hosts"
	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Default is the network of containers without --network. It is always listed.
const Default = "mydocker0"

// dockersDefault is docker's name of the default network. It means [Default], unless a network has this name.
const dockersDefault = "bridge"

// named returns the name of the network that a user calls name.
func (m *Manager) named(name string) string {
	if name == dockersDefault {
		if _, err := os.Lstat(m.networkPath(name)); errors.Is(err, fs.ErrNotExist) {
			return Default
		}
	}
	return name
}

// DriverBridge is the only driver: a Linux bridge with masquerading.
const DriverBridge = "bridge"

// defaultSubnet returns the subnet of [Default], unless the host uses it when the bridge is first made.
func defaultSubnet() netip.Prefix { return netip.MustParsePrefix("10.20.30.0/24") }

// Manager manages the networks and connections of a state directory.
type Manager struct {
	dir      state.Dir
	firewall *firewall.Firewall
	hosts    hosts.Files
	ports    hostport.Reservations

	// host returns a handle in the host's namespace. The first call is on a thread in it.
	host func() (link.Handle, error)
}

// New returns the manager of the networks in dir.
func New(dir state.Dir) *Manager {
	return &Manager{
		dir: dir, firewall: firewall.New(dir), hosts: hosts.In(dir), ports: hostport.In(dir),
		host: sync.OnceValues(func() (link.Handle, error) { return link.Open() }),
	}
}

// Network is a network: the content of network.json, and the number of its containers.
type Network struct {
	Name     string         `json:"name"`
	Driver   string         `json:"driver"`
	Link     string         `json:"link"` // the bridge; "" until that of mydocker0 is first made
	IPNets   []netip.Prefix `json:"ipnets"`
	Gateways []netip.Addr   `json:"gateways"` // the bridge's addresses, one for each of IPNets
	Internal bool           `json:"internal,omitempty"`
	Created  time.Time      `json:"created"`
	Chosen   bool           `json:"chosen,omitempty"` // the first of IPNets was chosen by us: see [Manager.chooseAgain]
	Counts   int            `json:"-"`                // containers with an address, including stopped ones

	Labels map[string]string `json:"labels,omitempty"`
}

// CreateOptions are the options of a new network.
type CreateOptions struct {
	Subnet   []string `name:"subnet" short:"s" sep:"none" placeholder:"CIDR" help:"Subnet of the network, IPv4 or IPv6, e.g. 10.10.1.0/24; repeatable (default: a free /24)"`
	Gateway  []string `sep:"none" placeholder:"ADDRESS" help:"Address of this host in the network, one for each subnet (default: the first of each)"`
	IPv6     bool     `name:"ipv6" help:"Add an IPv6 subnet: a unique local one (RFC 4193) unless -s gives one"`
	Internal bool     `help:"Allow no traffic into or out of the network"`
	Label    []string `short:"l" sep:"none" placeholder:"KEY=VALUE" help:"Set a label on the network"`
	Driver   string   `short:"d" help:"Driver; only bridge is supported (default: bridge)"`
}

// Create makes a network. The first container makes its bridge. The default network can be created too, as long as it has
// not been used.
func (m *Manager) Create(_ context.Context, name string, o CreateOptions) error {
	if err := checkName(name); err != nil {
		return err
	}
	n := Network{Name: name, Driver: DriverBridge, Internal: o.Internal, Created: time.Now()}
	if o.Driver != "" && o.Driver != DriverBridge {
		return fmt.Errorf("network %s: driver %.40q: want bridge", name, o.Driver)
	}
	unlock, err := m.lockNetwork(name)
	if err != nil {
		return err
	}
	defer unlock()
	if old, err := m.load(name); err == nil && old.Link != "" {
		return fmt.Errorf("network %s exists already", name)
	} else if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	if n.Labels, err = spec.ParseLabels(o.Label); err != nil {
		return fmt.Errorf("network %s: %w", name, err)
	}
	if n.Link, err = m.chooseLink(name); err != nil {
		return err
	}
	used, err := m.used(Network{Name: name})
	if err != nil {
		return err
	}
	if err := n.choose(o, used); err != nil {
		return fmt.Errorf("network %s: %w", name, err)
	}
	if err := m.store(n); err != nil {
		return errors.Join(err, m.settleNetwork(name))
	}
	return nil
}

// choose sets the subnets and gateways of a new network.
func (n *Network) choose(o CreateOptions, used []link.Range) (err error) {
	if n.IPNets, err = chooseSubnets(o.Subnet, o.IPv6, used); err != nil {
		return err
	}
	n.Chosen = !slices.Contains(o.Subnet, n.IPNets[0].String())
	if n.Gateways, err = chooseGateways(n.IPNets, o.Gateway); err != nil || !n.has6() {
		return err
	}
	return link.CheckIPv6()
}

// bridgeNetwork returns a network with one subnet, whose first address is the gateway.
func bridgeNetwork(name, link string, subnet netip.Prefix, created time.Time) Network {
	return Network{
		Name: name, Driver: DriverBridge, Link: link, Created: created,
		IPNets: []netip.Prefix{subnet}, Gateways: []netip.Addr{subnet.Addr().Next()},
	}
}

// has6 reports whether the network has IPv6 addresses. It always has IPv4.
func (n Network) has6() bool { return len(n.subnets(state.IPv6)) > 0 }

// subnets returns the subnets of a family.
func (n Network) subnets(f state.Family) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range n.IPNets {
		if f.Has(p.Addr()) {
			list = append(list, p)
		}
	}
	return list
}

// addresses returns the addresses of the bridge.
func (n Network) addresses() []netip.Prefix {
	list := make([]netip.Prefix, len(n.Gateways))
	for i, gateway := range n.Gateways {
		list[i] = netip.PrefixFrom(gateway, n.IPNets[i].Bits())
	}
	return list
}

// rules returns the network as the firewall needs it.
func (n Network) rules() firewall.Bridge {
	return firewall.Bridge{Network: n.Name, Link: n.Link, Subnets: n.IPNets, Internal: n.Internal}
}

// gateway returns the bridge's address in the subnet of an address, the zero Addr if there is none.
func (n Network) gateway(addr netip.Addr) netip.Addr {
	for i, p := range n.IPNets {
		if p.Contains(addr) {
			return n.Gateways[i]
		}
	}
	return netip.Addr{}
}

// Remove removes a network that no container uses, with its bridge and rules. The default network stays listed.
func (m *Manager) Remove(ctx context.Context, name string) error {
	if err := m.Sweep(ctx); err != nil {
		return err
	}
	return m.removeUnused(ctx, name)
}

// Prune removes all networks that no container uses, except the default network, and calls removed for each. An error does
// not stop it.
func (m *Manager) Prune(ctx context.Context, removed func(name string) error) error {
	if err := m.Sweep(ctx); err != nil {
		return err
	}
	networks, err := m.List()
	errs := []error{err}
	for _, n := range networks {
		if n.Name == Default || n.Counts > 0 {
			continue
		}
		err := m.removeUnused(ctx, n.Name)
		if err == nil {
			err = removed(n.Name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (m *Manager) removeUnused(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	unlock, err := m.lockNetwork(name)
	if err != nil {
		return err
	}
	defer unlock()
	n, err := m.Inspect(name)
	switch {
	case errors.Is(err, state.ErrNotFound) && os.Remove(m.path(name)) == nil:
		return nil // a killed remove had left only the directory
	case err != nil:
		return err
	case n.Counts > 0:
		return fmt.Errorf("network %s is used by %s", name, m.userNames(name))
	}
	if err := m.takeDown(ctx, n); err != nil {
		return fmt.Errorf("network %s: %w", name, err)
	}
	// Without this file the directory is no network.
	if err := os.Remove(m.networkPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(m.path(name))
}

// Inspect returns a network. The error wraps [state.ErrNotFound] if there is none.
func (m *Manager) Inspect(name string) (Network, error) {
	n, err := m.load(m.named(name))
	if err != nil {
		return n, err
	}
	n.Counts = len(m.users(n.Name))
	return n, nil
}

// List returns all networks, the default network first, the others by age. If some cannot be read, it returns the others
// and an error.
func (m *Manager) List() ([]Network, error) {
	entries, err := os.ReadDir(m.dir.Networks())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	first, err := m.Inspect(Default)
	list, errs := []Network{first}, []error{err}
	for _, e := range entries {
		if e.Name() == Default || checkName(e.Name()) != nil {
			continue
		}
		n, err := m.Inspect(e.Name())
		switch {
		case err == nil:
			list = append(list, n)
		case !errors.Is(err, state.ErrNotFound): // the network has not just been removed
			errs = append(errs, err)
		}
	}
	slices.SortStableFunc(list[1:], func(a, b Network) int { return a.Created.Compare(b.Created) })
	return list, errors.Join(errs...)
}

// lock takes the lock on what all containers share: networks, leases, bridges, reserved ports.
func (m *Manager) lock() (unlock func(), err error) { return m.dir.LockShared(state.NetworkLock) }

func (m *Manager) path(name string) string        { return filepath.Join(m.dir.Networks(), name) }
func (m *Manager) networkPath(name string) string { return filepath.Join(m.path(name), "network.json") }

// store writes network.json. The caller holds the lock, so any temporary file is from a killed writer.
func (m *Manager) store(n Network) error {
	state.RemoveTemps(m.path(n.Name))
	return state.WriteJSON(m.networkPath(n.Name), n)
}

// load reads a network.
func (m *Manager) load(name string) (Network, error) {
	if err := checkName(name); err != nil {
		return Network{}, err
	}
	var n Network
	err := state.ReadJSON(m.networkPath(name), &n)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name == Default:
		n = m.unstoredDefault()
	case errors.Is(err, fs.ErrNotExist):
		return Network{}, fmt.Errorf("network %s: %w", name, state.ErrNotFound)
	case err != nil:
		return Network{}, fmt.Errorf("network %s: %w", name, err)
	case len(n.subnets(state.IPv4)) == 0 || len(n.Gateways) != len(n.IPNets) || n.Link == "":
		return Network{}, fmt.Errorf("network %s: network.json lacks addresses or the link", name)
	}
	return n, nil
}

// unstoredDefault returns the default network before its first container. Its creation time is that of the state directory,
// so that it does not change between calls.
func (m *Manager) unstoredDefault() Network {
	created, err := linux.BirthTime(m.dir.Root)
	if err != nil {
		created = time.Now()
	}
	return bridgeNetwork(Default, "", defaultSubnet(), created)
}

// checkName returns an error if a network cannot have the name: it is invalid, or --network has another meaning for it.
func checkName(name string) error {
	if name == state.ModeNone || name == state.ModeHost {
		return fmt.Errorf("network name %s is reserved", name)
	}
	return state.CheckName("network", name)
}
