// Package network connects containers: bridges on the host, pairs of virtual links between them and
// the containers, addresses, and the firewall rules that let traffic through and publish ports.
//
// A network is a directory, networks/NAME, with network.json and one lease per address in use, which
// holds the id of its container. How a container is connected stands in its net.json ([state.Net]).
// Both survive a reboot; bridges, links, namespaces and rules are made from them when they are needed,
// so nothing has to run at boot. Reading (List, Inspect) never touches the kernel.
//
// A namespace that another program made can be connected, too: by [Manager.AttachTo], and by the runtimes
// that speak the Container Network Interface ([Manager.CNI]).
//
// What a connection costs is nearly all the kernel's: 1.3 ms to make the namespace and the links, and 10 to 30 ms until
// they are deleted, beside which all else is done ([links.delete]). Some 190 system calls by five sockets are ours, both
// ways counted; with a port, one process of the firewall each way, which runs meanwhile. How that was
// measured, and what was tried, stands in doc/speed.md.
//
// The network mydocker0 always exists. Its bridge is made by the first container that uses it.
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
	"sync/atomic"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Default is the network of containers that name none. It is listed from the start, and for ever.
const Default = "mydocker0"

// DriverBridge is the one driver: a Linux bridge, and masquerading towards the world.
const DriverBridge = "bridge"

// defaultSubnet is that of [Default], unless the host already uses these addresses when its bridge is
// first made.
var defaultSubnet = netip.MustParsePrefix("10.20.30.0/24")

// Manager works on the networks and connections of one state directory.
type Manager struct {
	dir    state.Dir
	looked atomic.Pointer[time.Time] // when this process last looked at the rules

	// host is this host's own namespace. It is asked for first by a thread that is in it.
	host func() (links, error)
}

// New returns the manager of the networks in dir. It does nothing yet.
func New(dir state.Dir) *Manager {
	return &Manager{dir: dir, host: sync.OnceValues(func() (links, error) { return openLinks() })}
}

// Network is one network: the content of network.json, and how many containers are connected.
type Network struct {
	Name     string         `json:"name"`
	Driver   string         `json:"driver"`
	Link     string         `json:"link"` // the bridge; "" until mydocker0's is first made
	IPNets   []netip.Prefix `json:"ipnets"`
	Gateways []netip.Addr   `json:"gateways"` // one for each of IPNets: the bridge's own address
	Internal bool           `json:"internal,omitempty"`
	Created  time.Time      `json:"created"`
	Chosen   bool           `json:"chosen,omitempty"` // the first of IPNets was not asked for: see [Manager.chooseAgain]
	Counts   int            `json:"-"`                // containers that hold an address, the stopped ones included

	Labels map[string]string `json:"labels,omitempty"`
}

// CreateOptions say what a new network is like.
type CreateOptions struct {
	Subnet   []string `name:"subnet" short:"s" sep:"none" placeholder:"CIDR" help:"Addresses of the network, e.g. 10.10.1.0/24; repeatable, also of IPv6 (default: a free /24)"`
	Gateway  []string `sep:"none" placeholder:"ADDRESS" help:"Address of this host in the network; one for each subnet (default: the first of each)"`
	IPv6     bool     `name:"ipv6" help:"Give the network IPv6 addresses, too: private ones (RFC 4193) where no -s names others"`
	Internal bool     `help:"No way out of the network, and none in"`
	Label    []string `short:"l" sep:"none" placeholder:"KEY=VALUE" help:"Set a label on the network"`
	Driver   string   `short:"d" help:"bridge is the only one (default: bridge)"`
}

// Create makes a network. Its bridge comes with the first container. The default network can be made so,
// too, as long as it has not been used.
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
		return fmt.Errorf("network %s: the name is taken", name)
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
	if n.IPNets, err = chooseSubnets(o.Subnet, o.IPv6, used); err == nil {
		n.Chosen = !slices.Contains(o.Subnet, n.IPNets[0].String())
		n.Gateways, err = chooseGateways(n.IPNets, o.Gateway)
	}
	if err == nil && n.has6() {
		err = checkIPv6()
	}
	if err != nil {
		return fmt.Errorf("network %s: %w", name, err)
	}
	if err := m.store(n); err != nil {
		return errors.Join(err, m.settleNetwork(name))
	}
	return nil
}

// bridgeNetwork returns a network of one subnet, whose first address is the gateway's.
func bridgeNetwork(name, link string, subnet netip.Prefix, created time.Time) Network {
	return Network{
		Name: name, Driver: DriverBridge, Link: link, Created: created,
		IPNets: []netip.Prefix{subnet}, Gateways: []netip.Addr{subnet.Addr().Next()},
	}
}

// has6 reports whether the network has IPv6 addresses. It always has IPv4.
func (n Network) has6() bool { return len(n.subnets(ipv6)) > 0 }

// subnets returns those of one family.
func (n Network) subnets(f family) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range n.IPNets {
		if f.has(p.Addr()) {
			list = append(list, p)
		}
	}
	return list
}

// gateway returns the bridge's address in the subnet of an address; the zero Addr where there is none.
func (n Network) gateway(addr netip.Addr) netip.Addr {
	for i, p := range n.IPNets {
		if p.Contains(addr) {
			return n.Gateways[i]
		}
	}
	return netip.Addr{}
}

// Remove removes a network that no container uses, with its bridge and rules. The default network stays
// listed, as before its first container.
func (m *Manager) Remove(ctx context.Context, name string) error {
	if err := m.Sweep(ctx); err != nil {
		return err
	}
	return m.removeUnused(ctx, name)
}

// Prune removes all networks that no container uses, but for the default one, and tells of each. What could
// not be removed does not keep the others.
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
		return nil // all but the directory went with another one, which was killed
	case err != nil:
		return err
	case n.Counts > 0:
		return fmt.Errorf("network %s: it is used by %s", name, m.userNames(name))
	}
	if err := m.takeDown(ctx, n); err != nil {
		return fmt.Errorf("network %s: %w", name, err)
	}
	// Without this file it is none any more, whatever of it is there.
	if err := os.Remove(m.networkPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(m.path(name))
}

// Inspect returns one network. The error wraps [state.ErrNotFound] where there is none.
func (m *Manager) Inspect(name string) (Network, error) { return m.counted(m.load(name)) }

// List returns all networks, the default one first, then the oldest. A network that cannot be read
// does not hide the others: the error about it comes beside them.
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
		case !errors.Is(err, state.ErrNotFound): // not a directory whose network was just removed
			errs = append(errs, err)
		}
	}
	slices.SortStableFunc(list[1:], func(a, b Network) int { return a.Created.Compare(b.Created) })
	return list, errors.Join(errs...)
}

// lock takes the lock on what all containers share: the list of networks, leases, bridges.
func (m *Manager) lock() (unlock func(), err error) { return m.dir.LockShared(state.NetworkLock) }

func (m *Manager) path(name string) string        { return filepath.Join(m.dir.Networks(), name) }
func (m *Manager) networkPath(name string) string { return filepath.Join(m.path(name), "network.json") }

// store writes down what a network is. The caller holds the lock: what was being written there was so by one that was
// killed.
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
	case len(n.subnets(ipv4)) == 0 || len(n.Gateways) != len(n.IPNets) || n.Link == "":
		return Network{}, fmt.Errorf("network %s: network.json lacks addresses or the link", name)
	}
	return n, nil
}

// counted fills in how many containers use a network.
func (m *Manager) counted(n Network, err error) (Network, error) {
	if err == nil {
		n.Counts = len(m.users(n.Name))
	}
	return n, err
}

// unstoredDefault is the default network before its first container. It was made with the state
// directory, so that its age does not change from one look to the next.
func (m *Manager) unstoredDefault() Network {
	created, err := linux.BirthTime(m.dir.Root)
	if err != nil {
		created = time.Now()
	}
	return bridgeNetwork(Default, "", defaultSubnet, created)
}

// checkName refuses names that cannot be a network's: those that --network gives a meaning of its own.
func checkName(name string) error {
	if name == modeNone || name == modeHost {
		return fmt.Errorf("network name %s: the word has a meaning of its own", name)
	}
	return state.CheckName("network", name)
}
