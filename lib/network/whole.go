package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weikeit/mydocker/lib/state"
)

// What "up" means of a network: its bridge is there and set up, has the network's addresses, forwards, and has IPv6 where
// the network has; the links of its containers are on it; and its rules are there in all tables and both families. Other
// programs change any of these: a network manager flushes addresses, an administrator a table. The next container that
// starts, [Manager.Reload] and [Manager.Orphans] ask here.

// bridge is what the kernel tells of a network's bridge.
type bridge struct {
	link      netlink.Link
	addresses []netip.Prefix
	conf4     []byte // the bridge's sysctls of IPv4 (struct ipv4_devconf), 32 bits each
	conf6     []byte // of IPv6; empty on a host without it
}

// The places of sysctls in what RTM_GETLINK tells (linux/ip.h, less one; linux/ipv6.h).
const (
	conf4Forwarding    = 0
	conf4RouteLocalnet = 25
	conf6Forwarding    = 0
	conf6AcceptRA      = 3
	conf6Disable       = 26
)

const extSkipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h)

// rtnl asks by one socket of the calling thread's namespace: see [links] for what changes something.
type rtnl map[int]*nl.SocketHandle

func openRTNL() (rtnl, error) {
	socket, err := nl.Subscribe(syscall.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	// So that only the addresses of the link that is named are listed (netlink(7)); older kernels list all.
	_ = unix.SetsockoptInt(socket.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	return rtnl{syscall.NETLINK_ROUTE: {Socket: socket}}, nil
}

func (r rtnl) Close() { r[syscall.NETLINK_ROUTE].Close() }

func (r rtnl) ask(kind, flags int, data ...nl.NetlinkRequestData) ([][]byte, error) {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = r
	for _, d := range data {
		req.AddData(d)
	}
	return req.Execute(syscall.NETLINK_ROUTE, 0)
}

// bridge returns the link of that name, nil where there is none.
func (r rtnl) bridge(name string) (*bridge, error) {
	messages, err := r.ask(unix.RTM_GETLINK, 0, nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if errors.Is(err, syscall.ENODEV) {
		return nil, nil
	}
	if err == nil && len(messages) != 1 {
		err = fmt.Errorf("%d answers", len(messages))
	}
	var b bridge
	if err == nil {
		b.link, err = netlink.LinkDeserialize(nil, messages[0])
	}
	if err != nil {
		return nil, fmt.Errorf("look for link %s: %w", name, err)
	}
	attrs := messages[0][unix.SizeofIfInfomsg:]
	b.conf4 = nested(attrs, unix.IFLA_AF_SPEC, unix.AF_INET, unix.IFLA_INET_CONF)
	b.conf6 = nested(attrs, unix.IFLA_AF_SPEC, unix.AF_INET6, unix.IFLA_INET6_CONF)
	b.addresses, err = r.addresses(b.link.Attrs().Index)
	return &b, err
}

func (r rtnl) addresses(index int) ([]netip.Prefix, error) {
	about := nl.NewIfAddrmsg(unix.AF_UNSPEC)
	about.Index = uint32(index)
	messages, err := r.ask(unix.RTM_GETADDR, unix.NLM_F_DUMP, about)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var found []netip.Prefix
	for _, m := range messages {
		about := nl.DeserializeIfAddrmsg(m)
		attrs := m[about.Len():]
		raw := nested(attrs, unix.IFA_LOCAL)
		if raw == nil {
			raw = nested(attrs, unix.IFA_ADDRESS)
		}
		if addr, ok := netip.AddrFromSlice(raw); ok && about.Index == uint32(index) {
			found = append(found, netip.PrefixFrom(addr, int(about.Prefixlen)))
		}
	}
	return found, nil
}

// portName is the form of a link of ours that is to be on a bridge.
var portName = regexp.MustCompile(`^veth-[0-9a-f]{8}$`)

// loose lists the links by the names of ours that are on no bridge. An older kernel than 5.16 lists none.
func (r rtnl) loose() ([]string, error) {
	messages, err := r.ask(unix.RTM_GETLINK, unix.NLM_F_DUMP, nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(^uint32(0))), nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(extSkipStats)))
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var found []string
	for _, m := range messages {
		attrs := m[unix.SizeofIfInfomsg:]
		if name := word(nested(attrs, unix.IFLA_IFNAME)); portName.MatchString(name) && nested(attrs, unix.IFLA_MASTER) == nil {
			found = append(found, name)
		}
	}
	return found, nil
}

// conf returns a sysctl, -1 where the kernel does not tell.
func conf(list []byte, at int) int32 {
	if len(list) < 4*(at+1) {
		return -1
	}
	return int32(binary.NativeEndian.Uint32(list[4*at:]))
}

// unfinished reports whether the bridge is down and no container is on it: a command was killed while it made the bridge,
// and the next container of the network completes it.
func (b *bridge) unfinished(links []netlink.Link) bool {
	index := b.link.Attrs().Index
	return b.link.Attrs().Flags&net.FlagUp == 0 &&
		!slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Attrs().MasterIndex == index })
}

// fault returns what a network's bridge is not as it was made ([Manager.makeBridge]), "" where it is whole. Of a
// sysctl that the kernel does not tell nothing is said.
func (b *bridge) fault(n Network) string {
	if b.link.Attrs().Flags&net.FlagUp == 0 {
		return "the bridge is down"
	}
	if !b.hasAddresses(n) {
		return "the bridge has lost an address"
	}
	type wanted struct {
		list []byte
		at   int
		zero bool
		name string
	}
	list := []wanted{
		{b.conf4, conf4Forwarding, false, "net.ipv4.ip_forward"},
		{b.conf4, conf4RouteLocalnet, false, "net.ipv4.conf." + n.Link + ".route_localnet"},
		{b.conf6, conf6Disable, n.has6(), "net.ipv6.conf." + n.Link + ".disable_ipv6"},
	}
	if n.has6() {
		list = append(list,
			wanted{b.conf6, conf6AcceptRA, true, "net.ipv6.conf." + n.Link + ".accept_ra"},
			wanted{b.conf6, conf6Forwarding, false, "net.ipv6.conf.all.forwarding"})
	}
	for _, w := range list {
		if value := conf(w.list, w.at); value >= 0 && (value == 0) != w.zero {
			return fmt.Sprintf("the sysctl %s is %d", w.name, value)
		}
	}
	return ""
}

func (b *bridge) hasAddresses(n Network) bool {
	for i, gateway := range n.Gateways {
		if !slices.Contains(b.addresses, netip.PrefixFrom(gateway, n.IPNets[i].Bits())) {
			return false
		}
	}
	return true
}

// lookedFor is for how long a look at the rules holds: a command with a container in several networks looks once.
const lookedFor = time.Second

// seenPath is a symbolic link to the version of the rules that were looked at last, and were whole: as long as they
// have it, one question is enough.
func (m *Manager) seenPath() string { return filepath.Join(m.dir.Run, "firewall-seen") }

// standing reports whether the rules of all networks that are up are there. It asks the kernel, without a process.
// What cannot be found out counts as there.
func (m *Manager) standing() bool {
	now := time.Now()
	if before := m.looked.Swap(&now); before != nil && now.Sub(*before) < lookedFor {
		return true
	}
	v := m.variant()
	if v == "" {
		return true
	}
	k, err := v.open()
	if err != nil {
		return true
	}
	defer k.Close()
	version := k.version()
	if seen, err := os.Readlink(m.seenPath()); err == nil && seen == version {
		return true
	}
	if !m.standingIn(v, k) {
		// The port of another container may come just now. Its command has the lock.
		unlock, err := m.dir.LockForReading(state.FirewallLock)
		if err != nil {
			return true
		}
		defer unlock()
		version = k.version()
		if !m.standingIn(v, k) {
			return false
		}
	}
	if version != "" {
		m.noteSeen(version)
	}
	return true
}

func (m *Manager) standingIn(v variant, k kernelRules) bool {
	networks, err := m.upNetworks()
	if err != nil {
		return true
	}
	for _, f := range families {
		if f == ipv6 && !hasIPv6() {
			continue
		}
		published, err := m.published(f)
		if err != nil {
			continue
		}
		found, err := k.rules(f)
		if err == nil && found.lacks(f, networks, published) != "" && v.can(f) {
			return false
		}
	}
	return true
}

// noteSeen writes down the version. Without, the next command looks again.
func (m *Manager) noteSeen(version string) {
	_ = os.Remove(m.seenPath())
	_ = os.Symlink(version, m.seenPath())
}

// can reports whether the tools for a family are there.
func (v variant) can(f family) bool {
	_, err := v.find(f, "restore")
	return err == nil
}

// upNetworks returns the networks whose bridges are there.
func (m *Manager) upNetworks() ([]Network, error) {
	var up []Network
	err := m.eachUp(func(n Network, _ *bridge) { up = append(up, n) })
	return up, err
}

// eachUp calls a function for each network whose bridge is there.
func (m *Manager) eachUp(do func(Network, *bridge)) error {
	entries, err := os.ReadDir(m.dir.Networks())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || len(entries) == 0 {
		return err
	}
	r, err := openRTNL()
	if err != nil {
		return err
	}
	defer r.Close()
	for _, e := range entries {
		n, err := m.load(e.Name())
		if err != nil || n.Link == "" {
			continue // what cannot be read has no rules that we could know
		}
		b, err := r.bridge(n.Link)
		if err != nil {
			return err
		}
		if b != nil && m.owns(b.link, n) {
			do(n, b)
		}
	}
	return nil
}

// plugLoose puts links of containers back on the bridges of their networks, as far as those are there: one that is on
// none leads around all rules. It returns the networks whose bridges are not.
func (m *Manager) plugLoose(names []string) (gone []string, err error) {
	ids, err := m.dir.IDs()
	errs := []error{err}
	for _, id := range ids {
		n, err := m.dir.ReadNet(id)
		if err != nil {
			continue // it has no endpoints that we could know
		}
		for _, e := range n.Endpoints {
			if !slices.Contains(names, e.HostLink) {
				continue
			}
			there, err := m.plugAgain(e)
			if !there && err == nil {
				gone = append(gone, e.Network)
			}
			errs = append(errs, err)
		}
	}
	return gone, errors.Join(errs...)
}

// plugAgain reports whether the bridge is there.
func (m *Manager) plugAgain(e state.Endpoint) (bool, error) {
	network, err := m.load(e.Network)
	if err != nil {
		return false, err
	}
	l := here()
	master, err := l.find(network.Link)
	if err != nil || master == nil || !m.owns(master, network) {
		return false, err
	}
	port, err := l.find(e.HostLink)
	if err != nil || port == nil { // it went just now
		return true, err
	}
	return true, l.enslave(port, master)
}

// loose is [rtnl.loose] of those that our containers have.
func (m *Manager) loose() ([]string, error) {
	r, err := openRTNL()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	found, err := r.loose()
	if err != nil || len(found) == 0 {
		return nil, err
	}
	wanted, err := m.wantedLinks()
	return slices.DeleteFunc(found, func(name string) bool { return !wanted[name] }), err
}

// faults returns what of our networks is not as it was made. The names are those of networks, but of rules and ports.
func (m *Manager) faults(ctx context.Context) ([]state.Orphan, error) {
	var found []state.Orphan
	add := func(kind, name, reason string) {
		found = append(found, state.Orphan{Kind: kind, Name: name, Reason: reason, Remove: m.reload})
	}
	links, linkErr := netlink.LinkList()
	var networks []Network
	upErr := m.eachUp(func(n Network, b *bridge) {
		if linkErr == nil && b.unfinished(links) {
			return
		}
		networks = append(networks, n)
		if reason := b.fault(n); reason != "" {
			add(kindBroken+" network", n.Name, reason)
		}
	})
	loose, looseErr := m.loose()
	for _, name := range loose {
		add(kindBroken+" link", name, "it is on no bridge")
	}
	ruleErr := m.lookAtFamilies(true, func(f family, v variant) error {
		saved, err := v.save(ctx, f)
		var missing *missingTool
		if errors.As(err, &missing) {
			return nil
		}
		if err != nil {
			return err
		}
		published, err := m.published(f)
		if reason := saved.ruleset().lacks(f, networks, published); reason != "" {
			add(kindBroken+" firewall", f.tool(), reason)
		}
		return err
	})
	return found, errors.Join(linkErr, upErr, looseErr, ruleErr)
}

// kindBroken is said of what is there and is not whole: to remove that is to mend it.
const kindBroken = "broken"
