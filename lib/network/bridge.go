package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/firewall"
	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/state"
)

// longestRoot is the longest path of a state directory that fits in an alias. The kernel keeps 255 bytes.
const longestRoot = 150

// uplink is a network whose bridge is up.
type uplink struct {
	Network
	bridge link.Link
}

// alias marks a bridge as that of a network of this state directory (ip-link(8), alias). A long path is cut, and the device
// and inode of the directory come before it.
func (m *Manager) alias(name string) string {
	if root := m.dir.Root; len(root) <= longestRoot {
		return aliasPrefix(name) + root
	}
	return fmt.Sprintf("%s%s %.*s", aliasPrefix(name), inodeOf(m.dir.Root), longestRoot, m.dir.Root)
}

func aliasPrefix(name string) string { return "mydocker network " + name + " of " }

// isOurAlias reports whether an alias marks the bridge with a name as one of this state directory. The alias may have another
// path of the directory, through a symbolic link or a second mount.
func (m *Manager) isOurAlias(name, alias string) bool {
	rest, ok := strings.CutPrefix(alias, aliasPrefix(name))
	switch {
	case !ok:
		return false
	case rest == m.dir.Root:
		return true
	case strings.HasPrefix(rest, "/"):
		return link.SameFile(rest, m.dir.Root)
	}
	inode, _, _ := strings.Cut(rest, " ")
	return inode == inodeOf(m.dir.Root)
}

// inodeOf returns the device and inode of a directory, "" if it does not exist.
func inodeOf(path string) string {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return ""
	}
	return fmt.Sprintf("%x:%x", st.Dev, st.Ino)
}

// chooseLink returns the bridge name of a new network: the network's name if it is free and valid for a link, or else a
// short one. A bridge that remains from a deleted state directory with this path is removed.
func (m *Manager) chooseLink(name string) (string, error) {
	if len(name) > link.MaxName || name == "all" || name == "default" { // those two have a meaning in /proc/sys/net
		return m.shortLink(name), nil
	}
	dev, err := link.Find(name)
	switch {
	case err != nil:
		return "", err
	case dev == nil:
		return name, nil
	case m.isOurAlias(name, dev.Attrs().Alias):
		return name, link.Delete(name)
	}
	return m.shortLink(name), nil
}

// shortLink returns a bridge name made from a hash of the state directory and the network's name.
func (m *Manager) shortLink(name string) string {
	sum := fnv.New64a()
	fmt.Fprintf(sum, "%s\n%s", m.dir.Root, name)
	return fmt.Sprintf("md-%012x", sum.Sum64()>>16)
}

// isOurs reports whether a link is the bridge of a network. If its maker was killed before it set the alias, the hardware
// address tells.
func (m *Manager) isOurs(dev link.Link, n Network) bool {
	a := dev.Attrs()
	return m.isOurAlias(n.Link, a.Alias) ||
		a.Alias == "" && dev.Type() == "bridge" && bytes.Equal(a.HardwareAddr, link.MACOf(n.Gateways[0]))
}

// up returns a network with its bridge, which it brings up if needed. The caller holds the lock.
func (m *Manager) up(ctx context.Context, network string) (uplink, error) {
	n, err := m.load(network)
	if err != nil {
		return uplink{}, err
	}
	bridge, err := m.bringUp(ctx, &n)
	return uplink{n, bridge}, err
}

// uplinks returns the networks of endpoints, brought up.
func (m *Manager) uplinks(ctx context.Context, endpoints []state.Endpoint) ([]uplink, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	ups := make([]uplink, len(endpoints))
	for i, e := range endpoints {
		if ups[i], err = m.up(ctx, e.Network); err != nil {
			return nil, err
		}
	}
	return ups, nil
}

// bringUp returns the bridge of a network. It makes the bridge and its rules if they are missing, and repairs them if they
// have changed. The caller holds the lock.
func (m *Manager) bringUp(ctx context.Context, n *Network) (link.Link, error) {
	q, err := link.OpenQuery()
	if err != nil {
		return nil, err
	}
	defer q.Close()
	b, err := m.findBridge(q, n)
	if err != nil {
		return nil, err
	}
	var dev link.Link
	if b != nil && b.Fault(n.addresses()) == "" {
		dev, err = b.Link, m.repairRules(ctx)
	} else {
		dev, err = m.raiseBridge(ctx, q, n)
	}
	if err != nil {
		return nil, err
	}
	loose, err := q.Loose()
	if err == nil && len(loose) > 0 {
		_, err = m.enslaveLoose(loose)
	}
	return dev, err
}

// raiseBridge makes or repairs the bridge of a network, under a lock of the host. If the network has no bridge name yet, it
// chooses name and addresses.
func (m *Manager) raiseBridge(ctx context.Context, q link.Query, n *Network) (link.Link, error) {
	defer lockHost()()
	if n.Link == "" {
		if err := m.settleDefault(n); err != nil {
			return nil, err
		}
	}
	// Under the lock, because another state directory may have been making a bridge with this name, which has no alias yet.
	b, err := m.findBridge(q, n)
	if err != nil {
		return nil, err
	}
	if b == nil {
		if err := m.chooseAgain(n); err != nil {
			return nil, err
		}
	}
	dev, err := m.makeBridge(ctx, *n, b)
	if err != nil && b == nil { // an existing bridge may have containers
		err = errors.Join(err, m.takeDown(context.WithoutCancel(ctx), *n))
	}
	if err != nil {
		return nil, fmt.Errorf("network %s: %w", n.Name, err)
	}
	return dev, nil
}

// findBridge returns the bridge of a network, nil if there is none. If a bridge of another state directory has its name, the
// network gets another name for its bridge.
func (m *Manager) findBridge(q link.Query, n *Network) (*link.Bridge, error) {
	if n.Link == "" {
		return nil, nil
	}
	b, err := q.Bridge(n.Link)
	if err != nil || b == nil || m.isOurs(b.Link, *n) {
		return b, err
	}
	if other := m.shortLink(n.Name); n.Link != other && strings.HasPrefix(b.Attrs().Alias, aliasPrefix(n.Link)) {
		n.Link = other
		if err := m.store(*n); err != nil {
			return nil, err
		}
		return m.findBridge(q, n)
	}
	return nil, fmt.Errorf("network %s: the link %s exists and is not ours", n.Name, n.Link)
}

// lockHost takes the lock for making bridges, which all state directories share: two must not choose the same name or
// addresses. If the lock file cannot be made, it takes no lock.
func lockHost() (unlock func()) {
	unlock, err := state.LockHost(state.BridgesLock)
	if err != nil {
		return func() {}
	}
	return unlock
}

// settleDefault stores the addresses and the bridge name of the default network: the usual ones, or others if the host or
// another state directory uses them.
func (m *Manager) settleDefault(n *Network) error {
	name, err := m.chooseLink(n.Name)
	if err != nil {
		return err
	}
	used, err := m.used(*n)
	if err != nil {
		return err
	}
	subnet := n.IPNets[0]
	if !isFree(subnet, used) {
		if subnet, err = freeSubnet(used); err != nil {
			return fmt.Errorf("network %s: %w", n.Name, err)
		}
	}
	*n = bridgeNetwork(n.Name, name, subnet, n.Created)
	n.Chosen = true
	return m.store(*n)
}

// chooseAgain replaces a subnet that was chosen for a network and is in use by now: by a network of another state directory
// whose bridge was not up at the time. It does so only while no container has an address of the network.
func (m *Manager) chooseAgain(n *Network) error {
	if !n.Chosen || len(m.leased(n.Name)) > 0 {
		return nil
	}
	used, err := m.used(*n)
	if err != nil || checkOverlap(n.IPNets[0], used) == nil {
		return err
	}
	subnet, err := freeSubnet(used)
	if err != nil {
		return fmt.Errorf("network %s: %w", n.Name, err)
	}
	n.IPNets, n.Gateways = slices.Clone(n.IPNets), slices.Clone(n.Gateways)
	n.IPNets[0], n.Gateways[0] = subnet, subnet.Addr().Next()
	return m.store(*n)
}

// makeBridge makes the bridge of a network, or completes bridge b that an earlier try left half made or that another program
// has changed. It sets the bridge up last.
func (m *Manager) makeBridge(ctx context.Context, n Network, b *link.Bridge) (dev link.Link, err error) {
	if b == nil || !b.HasAddresses(n.addresses()) {
		if err := m.checkUnused(n); err != nil {
			return nil, err
		}
	}
	if b != nil {
		dev = b.Link
	} else if dev, err = link.AddBridge(n.Link, link.MACOf(n.Gateways[0])); err != nil {
		return nil, err
	}
	if err := link.SetAlias(dev, m.alias(n.Link)); err != nil {
		return nil, err
	}
	if err := link.PrepareBridgeIPv6(n.Link, n.has6()); err != nil {
		return nil, err
	}
	for _, addr := range n.addresses() {
		if err := link.Here().AddAddress(dev, addr); err != nil {
			return nil, err
		}
	}
	if err := m.forwardOn(n); err != nil {
		return nil, err
	}
	networks, err := m.upNetworks()
	if err == nil {
		err = m.firewall.Install(ctx, rulesOf(networks))
	}
	if err != nil {
		return nil, err
	}
	if err := link.Here().SetUp(dev); err != nil {
		return dev, err
	}
	if n.has6() {
		if err := link.AdmitLoopbackIPv6(dev); err != nil {
			return dev, err
		}
	}
	m.firewall.IsWhole(m.upRules) // stores the version of the rules, so that the next command needs one request
	return dev, nil
}

// checkUnused returns an error if the host uses a network's addresses for something else.
func (m *Manager) checkUnused(n Network) error {
	used, err := m.used(n)
	if err != nil {
		return err
	}
	for _, subnet := range n.IPNets {
		if err := checkOverlap(subnet, used); err != nil {
			return err
		}
	}
	return nil
}

// forwardOn sets the sysctls that the host needs to forward a network's packets.
func (m *Manager) forwardOn(n Network) error {
	if err := m.changeSysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	if n.has6() {
		if err := errors.Join(link.CheckIPv6(), link.ForwardIPv6(m.changeSysctl)); err != nil {
			return err
		}
	}
	// For ports on 127.0.0.1. The rules keep containers from using it.
	return link.SetSysctl("net/ipv4/conf/"+n.Link+"/route_localnet", "1")
}

// takeDown removes the bridge of a network and its rules. It is idempotent.
func (m *Manager) takeDown(ctx context.Context, n Network) error {
	if n.Link == "" {
		return nil
	}
	dev, err := link.Find(n.Link)
	if err != nil || dev != nil && !m.isOurs(dev, n) {
		return err
	}
	return errors.Join(m.firewall.Remove(ctx, firewall.NetworkTag(n.Link)), link.Delete(n.Link), m.restoreSysctls())
}
