package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weikeit/mydocker/lib/linux"
)

// AddBridge makes a bridge with a fixed hardware address. A bridge without one takes over an address of its ports, and
// changes it when they come and go.
func AddBridge(name string, mac net.HardwareAddr) (Link, error) {
	mtu := hostMTU()
	linux.Trace("ip", "link", "add", name, "mtu", strconv.Itoa(mtu), "address", mac.String(), "type", "bridge")
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, HardwareAddr: mac, TxQLen: -1}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("add bridge %s: %w", name, err)
	}
	return bridge, nil
}

// SetAlias sets the alias of a link (ip-link(8)), at most 255 bytes.
func SetAlias(dev Link, alias string) error {
	name := dev.Attrs().Name
	linux.Trace("ip", "link", "set", name, "alias", alias)
	if err := netlink.LinkSetAlias(dev, alias); err != nil {
		return fmt.Errorf("set alias of %s: %w", name, err)
	}
	return nil
}

// MACOf returns the hardware address for an IP address: a local one (IEEE 802, bit 1 of the first byte) that ends with it.
// The next container with the IP address has the same one, so neighbour caches stay right.
func MACOf(addr netip.Addr) net.HardwareAddr {
	b := addr.AsSlice()
	return append(net.HardwareAddr{0x02, 0x6d}, b[len(b)-4:]...)
}

// Bridge is the kernel's state of a network's bridge.
type Bridge struct {
	Link
	addresses []netip.Prefix
	conf4     []byte // IPv4 sysctls of the bridge (struct ipv4_devconf), 32 bits each
	conf6     []byte // IPv6 sysctls; empty on a host without IPv6
}

// The positions of sysctls in the answer to RTM_GETLINK (linux/ip.h, less one; linux/ipv6.h).
const (
	conf4Forwarding    = 0
	conf4RouteLocalnet = 25
	conf6Forwarding    = 0
	conf6AcceptRA      = 3
	conf6Disable       = 26
)

const extSkipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h)

// Query reads the state of bridges and their ports through one socket, in the namespace of the thread that opened it.
type Query map[int]*nl.SocketHandle

// OpenQuery opens the socket.
func OpenQuery() (Query, error) {
	socket, err := nl.Subscribe(syscall.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	// With strict checking the kernel lists the addresses of one link only (netlink(7)). Older kernels list all.
	_ = unix.SetsockoptInt(socket.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	return Query{syscall.NETLINK_ROUTE: {Socket: socket}}, nil
}

// Close closes the socket.
func (q Query) Close() { q[syscall.NETLINK_ROUTE].Close() }

func (q Query) ask(kind, flags int, data ...nl.NetlinkRequestData) ([][]byte, error) {
	return Dump(func() ([][]byte, error) {
		req := nl.NewNetlinkRequest(kind, flags)
		req.Sockets = q
		for _, d := range data {
			req.AddData(d)
		}
		return req.Execute(syscall.NETLINK_ROUTE, 0)
	})
}

// Bridge returns the state of the link with a name, nil if there is none.
func (q Query) Bridge(name string) (*Bridge, error) {
	messages, err := q.ask(unix.RTM_GETLINK, 0, nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if errors.Is(err, syscall.ENODEV) {
		return nil, nil
	}
	if err == nil && len(messages) != 1 {
		err = fmt.Errorf("%d answers", len(messages))
	}
	var b Bridge
	if err == nil {
		b.Link, err = netlink.LinkDeserialize(nil, messages[0])
	}
	if err != nil {
		return nil, fmt.Errorf("get link %s: %w", name, err)
	}
	attrs := messages[0][unix.SizeofIfInfomsg:]
	b.conf4 = Nested(attrs, unix.IFLA_AF_SPEC, unix.AF_INET, unix.IFLA_INET_CONF)
	b.conf6 = Nested(attrs, unix.IFLA_AF_SPEC, unix.AF_INET6, unix.IFLA_INET6_CONF)
	b.addresses, err = q.addresses(b.Attrs().Index)
	return &b, err
}

func (q Query) addresses(index int) ([]netip.Prefix, error) {
	about := nl.NewIfAddrmsg(unix.AF_UNSPEC)
	about.Index = uint32(index)
	messages, err := q.ask(unix.RTM_GETADDR, unix.NLM_F_DUMP, about)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var found []netip.Prefix
	for _, m := range messages {
		about := nl.DeserializeIfAddrmsg(m)
		attrs := m[about.Len():]
		raw := Nested(attrs, unix.IFA_LOCAL)
		if raw == nil {
			raw = Nested(attrs, unix.IFA_ADDRESS)
		}
		if addr, ok := netip.AddrFromSlice(raw); ok && about.Index == uint32(index) {
			found = append(found, netip.PrefixFrom(addr, int(about.Prefixlen)))
		}
	}
	return found, nil
}

// hostEnd is the name of the host end of a veth pair of ours.
var hostEnd = regexp.MustCompile(`^veth-[0-9a-f]{8}$`)

// Loose lists the host ends of our veth pairs that are on no bridge. Kernels before 5.16 list none.
func (q Query) Loose() ([]string, error) {
	messages, err := q.ask(unix.RTM_GETLINK, unix.NLM_F_DUMP, nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(^uint32(0))), nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(extSkipStats)))
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var found []string
	for _, m := range messages {
		attrs := m[unix.SizeofIfInfomsg:]
		if name := Word(Nested(attrs, unix.IFLA_IFNAME)); hostEnd.MatchString(name) && Nested(attrs, unix.IFLA_MASTER) == nil {
			found = append(found, name)
		}
	}
	return found, nil
}

// sysctlAt returns a sysctl, -1 if the kernel does not report it.
func sysctlAt(list []byte, at int) int32 {
	if len(list) < 4*(at+1) {
		return -1
	}
	return int32(binary.NativeEndian.Uint32(list[4*at:]))
}

// Unfinished reports whether the bridge is down and none of the links is on it. Then a command was killed while it made the
// bridge, and the network's next container completes it.
func (b *Bridge) Unfinished(links []Link) bool {
	return b.Attrs().Flags&net.FlagUp == 0 &&
		!slices.ContainsFunc(links, func(l Link) bool { return l.Attrs().MasterIndex == b.Attrs().Index })
}

// Fault describes how a bridge differs from what its network needs, which has the given addresses. It returns "" if
// nothing differs. Sysctls that the kernel does not report count as right.
func (b *Bridge) Fault(addresses []netip.Prefix) string {
	if b.Attrs().Flags&net.FlagUp == 0 {
		return "the bridge is down"
	}
	if !b.HasAddresses(addresses) {
		return "the bridge has lost an address"
	}
	has6 := slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return p.Addr().Is6() })
	type wanted struct {
		list []byte
		at   int
		zero bool
		name string
	}
	name := b.Attrs().Name
	list := []wanted{
		{b.conf4, conf4Forwarding, false, "net.ipv4.ip_forward"},
		{b.conf4, conf4RouteLocalnet, false, "net.ipv4.conf." + name + ".route_localnet"},
		{b.conf6, conf6Disable, has6, "net.ipv6.conf." + name + ".disable_ipv6"},
	}
	if has6 {
		list = append(list,
			wanted{b.conf6, conf6AcceptRA, true, "net.ipv6.conf." + name + ".accept_ra"},
			wanted{b.conf6, conf6Forwarding, false, "net.ipv6.conf.all.forwarding"})
	}
	for _, w := range list {
		if value := sysctlAt(w.list, w.at); value >= 0 && (value == 0) != w.zero {
			return fmt.Sprintf("the sysctl %s is %d", w.name, value)
		}
	}
	return ""
}

// HasAddresses reports whether the bridge has all the addresses.
func (b *Bridge) HasAddresses(addresses []netip.Prefix) bool {
	return !slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return !slices.Contains(b.addresses, p) })
}

// Nested returns the value of a netlink attribute within attributes, nil if it is missing.
func Nested(attrs []byte, path ...uint16) []byte {
	for _, kind := range path {
		list, err := nl.ParseRouteAttr(attrs)
		i := slices.IndexFunc(list, func(a syscall.NetlinkRouteAttr) bool { return a.Attr.Type&nl.NLA_TYPE_MASK == kind })
		if err != nil || i < 0 {
			return nil
		}
		attrs = list[i].Value
	}
	return attrs
}

// Word returns the text before the terminating zero.
func Word(text []byte) string {
	before, _, _ := bytes.Cut(text, []byte{0})
	return string(before)
}
