package link

import (
	"bytes"
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
)

const (
	protocolRA   = 9   // RTPROT_RA (linux/rtnetlink.h): a route from a router advertisement
	tableLocal   = 255 // RT_TABLE_LOCAL
	metricLocal  = 512 // after the kernel's own route to ::1
	protocolIPv6 = 0x86dd
)

// SysctlIPv6 starts the names of the IPv6 sysctls of links.
const SysctlIPv6 = "net/ipv6/conf/"

// SetSysctl sets a sysctl of the calling thread's namespace, unless it has the value already. in are the words before the
// traced command.
func SetSysctl(name, value string, in ...string) error {
	path := "/proc/sys/" + name
	old, err := linux.ReadRecord(path)
	if err == nil && string(bytes.TrimSpace(old)) == value {
		return nil
	}
	if len(in) == 0 {
		linux.TraceWrite(path, value)
	} else {
		linux.Trace(append(in, "sh", "-c", "echo "+value+" > "+linux.Quote(path))...)
	}
	if err := linux.WriteSysctl(path, value); err != nil {
		return fmt.Errorf("set %s to %s: %w", strings.ReplaceAll(name, "/", "."), value, err)
	}
	return nil
}

// CheckIPv6 returns an error if IPv6 is disabled on this host.
func CheckIPv6() error {
	data, err := os.ReadFile("/proc/sys/" + SysctlIPv6 + "all/disable_ipv6")
	if err != nil || strings.TrimSpace(string(data)) != "0" {
		return errors.New("IPv6 is disabled on this host (net.ipv6.conf.all.disable_ipv6)")
	}
	return nil
}

// HasIPv6 reports whether the kernel has IPv6, enabled or disabled.
func HasIPv6() bool {
	_, err := os.Stat("/proc/sys/" + SysctlIPv6 + "all")
	return err == nil
}

// PrepareIPv6 makes a link ignore router advertisements, by which any neighbour could change its routes, and enables IPv6
// if wanted.
func PrepareIPv6(name string, wanted bool, in ...string) error {
	err := SetSysctl(SysctlIPv6+name+"/accept_ra", "0", in...)
	if err == nil && wanted {
		err = SetSysctl(SysctlIPv6+name+"/disable_ipv6", "0", in...)
	}
	if !wanted && errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without IPv6
	}
	return err
}

// PrepareBridgeIPv6 is [PrepareIPv6] for a bridge, and disables IPv6 on the bridge of a network without it: containers can
// send packets of every kind, and a host that forwards IPv6 forwards it for all links.
func PrepareBridgeIPv6(name string, wanted bool) error {
	if err := PrepareIPv6(name, wanted); err != nil || wanted {
		return err
	}
	err := SetSysctl(SysctlIPv6+name+"/disable_ipv6", "1")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ForwardIPv6 makes the host forward IPv6, setting sysctls with set. A host that forwards ignores router advertisements
// unless accept_ra is 2, so links with a route from a router get that first.
func ForwardIPv6(set func(name, value string) error) error {
	data, err := os.ReadFile("/proc/sys/" + SysctlIPv6 + "all/forwarding")
	if err == nil && strings.TrimSpace(string(data)) == "1" {
		return nil
	}
	routes, err := Dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Protocol: protocolRA}, netlink.RT_FILTER_PROTOCOL)
	})
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		dev, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			continue // the link has just gone
		}
		if err := set(SysctlIPv6+dev.Attrs().Name+"/accept_ra", "2"); err != nil {
			return err
		}
	}
	return set(SysctlIPv6+"all/forwarding", "1")
}

// AdmitLoopbackIPv6 lets answers to ::1 come in from a bridge, as route_localnet does for 127.0.0.0/8. A program of the
// host connects from ::1; our rules masquerade that as the bridge's address and translate the answer back. The kernel
// drops packets that have the destination ::1 from the start before routing (ip6_rcv_core).
func AdmitLoopbackIPv6(bridge Link) error {
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

// RedirectToBridge makes published ports answer on ::1 even if br_netfilter is loaded (Docker loads it). With it the
// firewall translates the answer back to ::1 while the frame is still on the bridge, and the kernel drops the packet. So
// packets from the container to the gateway's address bypass the bridge port: tc redirects them to the bridge, whose
// hardware address the port has too. Kernels without the needed tc modules go without this.
func RedirectToBridge(bridge Link, hostLink string, gateway netip.Addr) error {
	port, err := MustFind(hostLink)
	if err != nil {
		return err
	}
	index := port.Attrs().Index
	linux.Trace("tc", "qdisc", "add", "dev", hostLink, "clsact")
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	err = netlink.QdiscAdd(qdisc)
	if err == nil {
		linux.Trace("tc", "filter", "add", "dev", hostLink, "ingress", "protocol", "ipv6", "u32", "match", "ip6", "dst",
			gateway.String()+"/128", "action", "mirred", "ingress", "redirect", "dev", bridge.Attrs().Name)
		err = netlink.FilterAdd(&netlink.U32{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 1, Protocol: protocolIPv6},
			Sel:         matchDestination(gateway),
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
		return fmt.Errorf("redirect answers of %s: %w", hostLink, err)
	}
	return nil
}

// matchDestination selects packets by destination address: bytes 24 to 39 of the header (RFC 8200).
func matchDestination(addr netip.Addr) *netlink.TcU32Sel {
	sel := &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL, Nkeys: 4}
	b := addr.As16()
	for i := range 4 {
		sel.Keys = append(sel.Keys, netlink.TcU32Key{
			Mask: 0xffffffff, Val: binary.BigEndian.Uint32(b[4*i:]), Off: int32(24 + 4*i),
		})
	}
	return sel
}
