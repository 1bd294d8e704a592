package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// What IPv6 needs that IPv4 does not.

const (
	flagNoDAD    = 0x02 // IFA_F_NODAD (linux/if_addr.h)
	protocolRA   = 9    // RTPROT_RA (linux/rtnetlink.h): a route that came by a router advertisement
	tableLocal   = 255  // RT_TABLE_LOCAL
	metricLocal  = 512  // behind the kernel's own route to ::1
	protocolIPv6 = 0x86dd
)

const sysctl6 = "net/ipv6/conf/"

// checkIPv6 returns an error where this host's IPv6 is switched off.
func checkIPv6() error {
	data, err := os.ReadFile("/proc/sys/" + sysctl6 + "all/disable_ipv6")
	if err != nil || strings.TrimSpace(string(data)) != "0" {
		return errors.New("IPv6 is switched off on this host (net.ipv6.conf.all.disable_ipv6)")
	}
	return nil
}

// hasIPv6 reports whether the kernel has IPv6, be it switched on or off.
func hasIPv6() bool {
	_, err := os.Stat("/proc/sys/" + sysctl6 + "all")
	return err == nil
}

// prepare6 readies a link of the calling thread's namespace: who is in a network with it must not tell it
// where to send its packets (router advertisements).
func prepare6(link string, wanted bool, in ...string) error {
	err := sysctl(sysctl6+link+"/accept_ra", "0", in...)
	if err == nil && wanted {
		err = sysctl(sysctl6+link+"/disable_ipv6", "0", in...)
	}
	if !wanted && errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without IPv6
	}
	return err
}

// prepareBridge6 does the same to a bridge. On one of a network without IPv6 the host has none either: containers send
// packets of every kind, and a host that forwards IPv6 for one link does so for all.
func prepareBridge6(n Network) error {
	if err := prepare6(n.Link, n.has6()); err != nil || n.has6() {
		return err
	}
	err := sysctl(sysctl6+n.Link+"/disable_ipv6", "1")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// forward6 lets the host forward IPv6. A host that forwards does not listen to routers any more, unless it is told
// to: those links that have a route from one are.
func (m *Manager) forward6() error {
	data, err := os.ReadFile("/proc/sys/" + sysctl6 + "all/forwarding")
	if err == nil && strings.TrimSpace(string(data)) == "1" {
		return nil
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Protocol: protocolRA}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			continue // it is gone meanwhile
		}
		if err := m.changeSysctl(sysctl6+link.Attrs().Name+"/accept_ra", "2"); err != nil {
			return err
		}
	}
	return m.changeSysctl(sysctl6+"all/forwarding", "1")
}

// admitLoopback6 lets answers to ::1 come in by a bridge, as route_localnet does for 127.0.0.0/8: a program of
// this host asks from that address, our rules put the bridge's in its place, and turn the answer back. What
// has that destination from the start is dropped by the kernel before it comes to routing (ip6_rcv_core).
func admitLoopback6(bridge netlink.Link) error {
	a := bridge.Attrs()
	linux.Trace("ip", "-6", "route", "append", "local", "::1", "dev", a.Name, "table", "local", "metric", fmt.Sprint(metricLocal))
	route := &netlink.Route{
		LinkIndex: a.Index, Dst: &net.IPNet{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		Table: tableLocal, Type: syscall.RTN_LOCAL, Priority: metricLocal,
	}
	if err := netlink.RouteAppend(route); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("add local route to ::1 on %s: %w", a.Name, err)
	}
	return nil
}

// openLoopback6 makes an endpoint's published ports answer on ::1 also where frames that pass a bridge are
// shown to the firewall (br_netfilter, which Docker loads). There the answer would be turned back to ::1 while
// it is still on the bridge, and dropped when it leaves it. So what the container sends to this host's address
// does not go by the bridge's port. The frame is for the bridge, whose hardware address the port has, too.
// A kernel without the means goes without that way.
func openLoopback6(bridge netlink.Link, e state.Endpoint, gateway netip.Addr) error {
	port, err := mustFindLink(e.HostLink)
	if err != nil {
		return err
	}
	name, index := e.HostLink, port.Attrs().Index
	linux.Trace("tc", "qdisc", "add", "dev", name, "clsact")
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	err = netlink.QdiscAdd(qdisc)
	if err == nil {
		linux.Trace("tc", "filter", "add", "dev", name, "ingress", "protocol", "ipv6", "u32", "match", "ip6", "dst",
			gateway.String()+"/128", "action", "mirred", "ingress", "redirect", "dev", bridge.Attrs().Name)
		err = netlink.FilterAdd(&netlink.U32{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 1, Protocol: protocolIPv6},
			Sel:         matchDestination6(gateway),
			Actions: []netlink.Action{&netlink.MirredAction{
				ActionAttrs:  netlink.ActionAttrs{Action: netlink.TC_ACT_STOLEN},
				MirredAction: netlink.TCA_INGRESS_REDIR, Ifindex: bridge.Attrs().Index,
			}},
		})
	}
	for _, missing := range []error{syscall.EOPNOTSUPP, syscall.ENOENT, syscall.EINVAL, syscall.EEXIST} {
		if errors.Is(err, missing) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("redirect answers of %s: %w", name, err)
	}
	return nil
}

// matchDestination6 selects packets by the destination, which lies in bytes 24 to 39 of the header (RFC 8200).
func matchDestination6(addr netip.Addr) *netlink.TcU32Sel {
	sel := &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL, Nkeys: 4}
	b := addr.As16()
	for i := range 4 {
		sel.Keys = append(sel.Keys, netlink.TcU32Key{
			Mask: 0xffffffff, Val: binary.BigEndian.Uint32(b[4*i:]), Off: int32(24 + 4*i),
		})
	}
	return sel
}
