package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// plug connects the namespace at path to a bridge: a pair of virtual links, the addresses, and a default
// route by each of the gateways.
func plug(bridge netlink.Link, e state.Endpoint, path string, gateways []netip.Addr) error {
	if err := addPair(bridge, e, path); err != nil {
		return err
	}
	err := linux.InNetNS(path, func() error {
		in := within(path)
		link, err := findLink(e.Link)
		if err != nil {
			return err
		}
		if link == nil {
			return fmt.Errorf("link %s: it is gone from the namespace", e.Link)
		}
		if err := prepare6(e.Link, e.Address6.IsValid(), in...); err != nil {
			return err
		}
		for _, addr := range addresses(e) {
			if err := addAddress(link, addr, in...); err != nil {
				return err
			}
		}
		if err := setUp(link, in...); err != nil {
			return err
		}
		return addDefaultRoutes(link, gateways, in...)
	})
	if err != nil {
		return err
	}
	return awaitUp(e.HostLink, bridge.Attrs().Name)
}

// awaitUp waits until the links pass packets. The kernel notices in its own time that the other end of a link
// is up, and until then it drops the first packets, which come again after a second only.
func awaitUp(names ...string) error {
	const most, step = time.Second, 100 * time.Microsecond
	for end := time.Now().Add(most); len(names) > 0; {
		link, err := netlink.LinkByName(names[0])
		switch {
		case err != nil:
			return fmt.Errorf("wait for link %s: %w", names[0], err)
		case link.Attrs().OperState == netlink.OperUp:
			names = names[1:]
		case time.Now().After(end):
			return nil // slow is no failure
		default:
			time.Sleep(step)
		}
	}
	return nil
}

// setLoopbackUp sets lo up in the namespace at path, in which the calling thread is.
func setLoopbackUp(path string) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("look for link lo: %w", err)
	}
	return setUp(lo, within(path)...)
}

// addPair makes the two links of an endpoint, one on the bridge and one in the namespace at path.
func addPair(bridge netlink.Link, e state.Endpoint, path string) error {
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close()
	mac, err := net.ParseMAC(e.MAC)
	if err != nil {
		return fmt.Errorf("endpoint %s: %w", e.ID, err)
	}
	master := bridge.Attrs()
	words := []string{"ip", "link", "add", e.HostLink, "up", "mtu", fmt.Sprint(master.MTU)}
	var hostMAC net.HardwareAddr
	if e.Address6.IsValid() { // see openLoopback6
		hostMAC = master.HardwareAddr
		words = append(words, "address", hostMAC.String())
	}
	linux.Trace(append(words, "type", "veth",
		"peer", "name", e.Link, "mtu", fmt.Sprint(master.MTU), "address", e.MAC, "netns", path)...)
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: e.HostLink, MTU: master.MTU, Flags: net.FlagUp, TxQLen: -1, HardwareAddr: hostMAC},
		PeerName:  e.Link, PeerHardwareAddr: mac, PeerMTU: uint32(master.MTU), PeerTxQLen: -1,
		PeerNamespace: netlink.NsFd(ns.Fd()),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("add link %s: %w", e.HostLink, err)
	}
	linux.Trace("ip", "link", "set", e.HostLink, "master", master.Name)
	err = netlink.LinkSetMasterByIndex(pair, master.Index)
	if errors.Is(err, syscall.EXFULL) {
		return fmt.Errorf("connect %s to bridge %s: a bridge has room for 1023 links", e.HostLink, master.Name)
	}
	if err != nil {
		return fmt.Errorf("connect %s to bridge %s: %w", e.HostLink, master.Name, err)
	}
	// A container that calls its own published port gets its packets back on the link they came from.
	linux.Trace("bridge", "link", "set", "dev", e.HostLink, "hairpin", "on")
	if err := netlink.LinkSetHairpin(pair, true); err != nil {
		return fmt.Errorf("set %s to hairpin mode: %w", e.HostLink, err)
	}
	return nil
}

// The functions below work in the namespace of the calling thread. The words in, those of within, are put
// before the command that is shown.

// within returns the words that run a command in the namespace at path.
func within(path string) []string { return []string{"nsenter", "--net=" + path} }

func addAddress(link netlink.Link, addr netip.Prefix, in ...string) error {
	name := link.Attrs().Name
	bits := addr.Addr().BitLen()
	ip := &netlink.Addr{IPNet: &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), bits)}}
	if addr.Addr().Is6() {
		// Leases see to it that nobody else has it; to ask around would take a second (RFC 4862, section 5.4).
		ip.Flags = flagNoDAD
		trace(in, "addr", "add", addr.String(), "nodad", "dev", name)
	} else {
		trace(in, "addr", "add", addr.String(), "brd", "+", "dev", name)
	}
	if err := netlink.AddrAdd(link, ip); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("add address %s to %s: %w", addr, name, err)
	}
	return nil
}

func setUp(link netlink.Link, in ...string) error {
	name := link.Attrs().Name
	trace(in, "link", "set", name, "up")
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

func addDefaultRoutes(link netlink.Link, gateways []netip.Addr, in ...string) error {
	for _, gateway := range gateways {
		if err := addDefaultRoute(link, gateway, in...); err != nil {
			return err
		}
	}
	return nil
}

func addDefaultRoute(link netlink.Link, gateway netip.Addr, in ...string) error {
	name := link.Attrs().Name
	trace(in, "route", "add", "default", "via", gateway.String(), "dev", name)
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()}
	// One that is there stays: the namespace may be connected to another network by somebody else.
	if err := netlink.RouteAdd(route); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("add default route by %s: %w", gateway, err)
	}
	return nil
}

// deleteLink deletes a link, and with it its peer. It is idempotent.
func deleteLink(name string, in ...string) error {
	link, err := findLink(name)
	if err != nil || link == nil {
		return err
	}
	trace(in, "link", "del", name)
	// ENODEV: its namespace, or its peer's, went meanwhile.
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("delete link %s: %w", name, err)
	}
	return nil
}

func trace(in []string, words ...string) {
	if linux.Tracing() {
		linux.Trace(append(append(in, "ip"), words...)...)
	}
}
