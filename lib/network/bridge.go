package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// maxLink is the length of the longest name of a link (IFNAMSIZ less the final zero).
const maxLink = 15

// defaultMTU is that of a bridge on a host without a default route.
const defaultMTU = 1500

// longestRoot bounds the path of a state directory in an alias: the kernel keeps 255 bytes of that.
const longestRoot = 150

// alias marks a bridge as that of a network of this state directory (ip-link(8), alias). A long path is cut short: the
// directory's numbers, which stand before it then, tell it from others.
func (m *Manager) alias(link string) string {
	if root := m.dir.Root; len(root) <= longestRoot {
		return aliasStart(link) + root
	}
	return fmt.Sprintf("%s%s %.*s", aliasStart(link), inodeOf(m.dir.Root), longestRoot, m.dir.Root)
}

func aliasStart(link string) string { return "mydocker network " + link + " of " }

// aliased reports whether a link of that name is marked as a bridge of this state directory, by whichever path that was
// named then: through a symbolic link, or where it is mounted a second time.
func (m *Manager) aliased(name, alias string) bool {
	rest, ok := strings.CutPrefix(alias, aliasStart(name))
	switch {
	case !ok:
		return false
	case rest == m.dir.Root:
		return true
	case strings.HasPrefix(rest, "/"):
		return sameFile(rest, m.dir.Root)
	}
	inode, _, _ := strings.Cut(rest, " ")
	return inode == inodeOf(m.dir.Root)
}

// inodeOf returns the numbers of a directory, "" where it is not there.
func inodeOf(path string) string {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return ""
	}
	return fmt.Sprintf("%x:%x", st.Dev, st.Ino)
}

// chooseLink returns the name of a new network's bridge: the network's own where it is one for a link and
// free, else a short one made of it and of the state directory. A bridge that is still there from a state
// directory that somebody deleted makes way.
func (m *Manager) chooseLink(name string) (string, error) {
	if len(name) <= maxLink && name != "all" && name != "default" { // those two are words in /proc/sys/net
		link, err := findLink(name)
		if err != nil {
			return "", err
		}
		if link == nil {
			return name, nil
		}
		if m.aliased(name, link.Attrs().Alias) {
			return name, deleteLink(name)
		}
	}
	return m.shortLink(name), nil
}

// shortLink makes a name for a network's bridge of the network's and of the state directory.
func (m *Manager) shortLink(name string) string {
	sum := fnv.New64a()
	fmt.Fprintf(sum, "%s\n%s", m.dir.Root, name)
	return fmt.Sprintf("md-%012x", sum.Sum64()>>16)
}

// owns reports whether a link is the bridge of the network. One whose maker was killed before it set the
// alias is known by its hardware address.
func (m *Manager) owns(link netlink.Link, n Network) bool {
	a := link.Attrs()
	return m.aliased(n.Link, a.Alias) ||
		a.Alias == "" && link.Type() == "bridge" && bytes.Equal(a.HardwareAddr, macOf(n.Gateways[0]))
}

// bringUp returns the bridge of a network, made with its rules where it is not there, and mended where it is not as it
// was made. The caller holds the lock.
func (m *Manager) bringUp(ctx context.Context, n *Network) (netlink.Link, error) {
	r, err := openRTNL()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := m.findBridge(r, n)
	if err != nil {
		return nil, err
	}
	var link netlink.Link
	if b != nil && b.fault(*n) == "" {
		link, err = b.link, m.mendRules(ctx)
	} else {
		link, err = m.raiseBridge(ctx, r, n)
	}
	if err != nil {
		return nil, err
	}
	loose, err := r.loose()
	if err == nil && len(loose) > 0 {
		_, err = m.plugLoose(loose)
	}
	return link, err
}

// raiseBridge makes the bridge of a network, or mends one that is not as it was made. A network that has no bridge yet
// chooses its name and addresses here, under a lock of the host.
func (m *Manager) raiseBridge(ctx context.Context, r rtnl, n *Network) (netlink.Link, error) {
	defer lockHost()()
	if n.Link == "" {
		if err := m.settleDefault(n); err != nil {
			return nil, err
		}
	}
	b, err := m.findBridge(r, n) // another set of state may have made one of that name before we had the lock
	if err != nil {
		return nil, err
	}
	if b == nil {
		if err := m.chooseAgain(n); err != nil {
			return nil, err
		}
	}
	link, err := m.makeBridge(ctx, *n, b)
	if err != nil && b == nil { // one that was there may have containers on it
		err = errors.Join(err, m.takeDown(context.WithoutCancel(ctx), *n))
	}
	if err != nil {
		return nil, fmt.Errorf("network %s: %w", n.Name, err)
	}
	return link, nil
}

// findBridge returns the bridge of a network, nil where there is none. A network whose bridge is not there gets another
// name for it where the bridge of another state directory has got that name.
func (m *Manager) findBridge(r rtnl, n *Network) (*bridge, error) {
	if n.Link == "" {
		return nil, nil
	}
	b, err := r.bridge(n.Link)
	if err != nil || b == nil || m.owns(b.link, *n) {
		return b, err
	}
	if other := m.shortLink(n.Name); n.Link != other && strings.HasPrefix(b.link.Attrs().Alias, aliasStart(n.Link)) {
		n.Link = other
		if err := m.store(*n); err != nil {
			return nil, err
		}
		return m.findBridge(r, n)
	}
	return nil, fmt.Errorf("network %s: the link %s exists and is not ours", n.Name, n.Link)
}

// lockHost takes the lock under which bridges are made, whatever state directory they are of: two must not choose the
// same name or the same addresses at once. Where there is no place for the lock, nothing is held.
func lockHost() (unlock func()) {
	unlock, err := state.LockHost(state.BridgesLock)
	if err != nil {
		return func() {}
	}
	return unlock
}

// up returns a network, which is brought up if it must. The caller holds the lock.
func (m *Manager) up(ctx context.Context, network string) (uplink, error) {
	n, err := m.load(network)
	if err != nil {
		return uplink{}, err
	}
	bridge, err := m.bringUp(ctx, &n)
	return uplink{n, bridge}, err
}

// uplinks returns the networks of the endpoints, brought up.
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

// settleDefault gives the default network its addresses and its bridge's name for good: the usual ones,
// or others where this host, or a second state directory on it, has these already.
func (m *Manager) settleDefault(n *Network) error {
	link, err := m.chooseLink(n.Name)
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
	*n = bridgeNetwork(n.Name, link, subnet, n.Created)
	n.Chosen = true
	return m.store(*n)
}

// chooseAgain gives a network other addresses whose first ones were chosen for it, and are somebody else's by now: those
// of a network of another state directory, which was not up either when this one was made. It does so as long as no
// container has an address of the network.
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

// makeBridge makes the bridge of a network, or completes one that an earlier try left half made, or that another program
// changed since: b is what is there of it, or nil. It sets it up last.
func (m *Manager) makeBridge(ctx context.Context, n Network, b *bridge) (link netlink.Link, err error) {
	if b == nil || !b.hasAddresses(n) {
		if err := m.checkFree(n); err != nil {
			return nil, err
		}
	}
	if b != nil {
		link = b.link
	} else if link, err = addBridge(n.Link, n.Gateways[0]); err != nil {
		return nil, err
	}
	linux.Trace("ip", "link", "set", n.Link, "alias", m.alias(n.Link))
	if err := netlink.LinkSetAlias(link, m.alias(n.Link)); err != nil {
		return nil, fmt.Errorf("set alias of %s: %w", n.Link, err)
	}
	if err := prepareBridge6(n); err != nil {
		return nil, err
	}
	for i, gateway := range n.Gateways {
		if err := here().addAddress(link, netip.PrefixFrom(gateway, n.IPNets[i].Bits())); err != nil {
			return nil, err
		}
	}
	if err := m.openHost(n); err != nil {
		return nil, err
	}
	networks, err := m.upNetworks()
	if err == nil {
		err = m.installRules(ctx, networks, false)
	}
	if err != nil {
		return nil, err
	}
	if err := here().setUp(link); err != nil {
		return link, err
	}
	if n.has6() {
		if err := admitLoopback6(link); err != nil {
			return link, err
		}
	}
	m.standing() // notes the version of the rules, so that the next command has one question to ask
	return link, nil
}

// checkFree returns an error where this host uses the network's addresses for something else.
func (m *Manager) checkFree(n Network) error {
	used, err := m.used(n)
	for _, subnet := range n.IPNets {
		if err == nil {
			err = checkOverlap(subnet, used)
		}
	}
	return err
}

// openHost sets what this host needs to forward a network's packets.
func (m *Manager) openHost(n Network) error {
	if err := m.changeSysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	if n.has6() {
		if err := errors.Join(checkIPv6(), m.forward6()); err != nil {
			return err
		}
	}
	// For 127.0.0.1:PORT on this host; the rules keep the containers from using it.
	return sysctl("net/ipv4/conf/"+n.Link+"/route_localnet", "1")
}

// takeDown removes the bridge of a network and its rules. It is idempotent.
func (m *Manager) takeDown(ctx context.Context, n Network) error {
	if n.Link == "" {
		return nil
	}
	link, err := findLink(n.Link)
	if err != nil || link != nil && !m.owns(link, n) {
		return err
	}
	return errors.Join(m.uninstallRules(ctx, networkTag(n.Link), true), deleteLink(n.Link), m.restoreSysctls())
}

// addBridge makes a bridge with a fixed hardware address: it would else take over its ports', and
// change when they come and go.
func addBridge(name string, gateway netip.Addr) (netlink.Link, error) {
	mtu := hostMTU()
	mac := macOf(gateway)
	linux.Trace("ip", "link", "add", name, "mtu", strconv.Itoa(mtu), "address", mac.String(), "type", "bridge")
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, HardwareAddr: mac, TxQLen: -1}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("add bridge %s: %w", name, err)
	}
	return bridge, nil
}

// hostMTU returns the MTU of the host's default route: its own, where it has one, else its link's.
func hostMTU() int {
	for _, f := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteList(nil, f)
		if err != nil {
			continue
		}
		for _, r := range routes {
			if ones := prefixLength(r.Dst); ones > 0 {
				continue
			}
			if r.MTU > 0 {
				return r.MTU
			}
			if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil && link.Attrs().MTU > 0 {
				return link.Attrs().MTU
			}
		}
	}
	return defaultMTU
}

// prefixLength returns how many bits of a route's destination count: none, where it is the default route.
func prefixLength(dst *net.IPNet) int {
	if dst == nil {
		return 0
	}
	ones, _ := dst.Mask.Size()
	return ones
}

// macOf returns the hardware address of an address: a local one (IEEE 802, bit 1 of the first byte) that
// ends with it. The next owner of the address has it too, so that no neighbour's cache is ever wrong.
func macOf(addr netip.Addr) net.HardwareAddr {
	b := addr.AsSlice()
	return append(net.HardwareAddr{0x02, 0x6d}, b[len(b)-4:]...)
}
