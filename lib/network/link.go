package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// uplink is a network whose bridge is up.
type uplink struct {
	Network
	bridge netlink.Link
}

// plug connects the namespace at path, in which the calling thread is, to a network of the host: a pair of virtual links,
// the addresses, and a default route by each of the gateways.
func plug(host, inside links, up uplink, e state.Endpoint, path string, gateways []netip.Addr) error {
	if err := host.addPair(up.bridge, e, path); err != nil {
		return err
	}
	link, err := inside.find(e.Link)
	if err != nil {
		return err
	}
	if link == nil {
		return fmt.Errorf("link %s: it is gone from the namespace", e.Link)
	}
	if err := prepare6(e.Link, e.Address6.IsValid(), inside.in...); err != nil {
		return err
	}
	for _, addr := range addresses(e) {
		if err := inside.addAddress(link, addr); err != nil {
			return err
		}
	}
	if err := inside.setUp(link); err != nil {
		return err
	}
	if err := inside.addDefaultRoutes(link, gateways); err != nil {
		return err
	}
	return host.awaitUp(e.HostLink, up.Link)
}

// addPair makes the two links of an endpoint, one on the bridge and one in the namespace at path.
func (l links) addPair(bridge netlink.Link, e state.Endpoint, path string) error {
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
	words := []string{"link", "add", e.HostLink, "mtu", fmt.Sprint(master.MTU)}
	var hostMAC net.HardwareAddr
	if e.Address6.IsValid() { // see openLoopback6
		hostMAC = master.HardwareAddr
		words = append(words, "address", hostMAC.String())
	}
	l.trace(append(words, "type", "veth",
		"peer", "name", e.Link, "mtu", fmt.Sprint(master.MTU), "address", e.MAC, "netns", path)...)
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: e.HostLink, MTU: master.MTU, TxQLen: -1, HardwareAddr: hostMAC},
		PeerName:  e.Link, PeerHardwareAddr: mac, PeerMTU: uint32(master.MTU), PeerTxQLen: -1,
		PeerNamespace: netlink.NsFd(ns.Fd()),
	}
	if err := l.LinkAdd(pair); err != nil {
		return fmt.Errorf("add link %s: %w", e.HostLink, err)
	}
	// Down until it is on the bridge: what comes in before passes no rule of ours, and the namespace may be another's,
	// in which programs run.
	if err := l.enslave(pair, bridge); err != nil {
		return err
	}
	return l.setUp(pair)
}

// enslave puts a link on a bridge.
func (l links) enslave(port, bridge netlink.Link) error {
	name, master := port.Attrs().Name, bridge.Attrs()
	l.trace("link", "set", name, "master", master.Name)
	err := l.LinkSetMasterByIndex(port, master.Index)
	if errors.Is(err, syscall.EXFULL) {
		return fmt.Errorf("connect %s to bridge %s: a bridge has room for 1023 links", name, master.Name)
	}
	if err != nil {
		return fmt.Errorf("connect %s to bridge %s: %w", name, master.Name, err)
	}
	// A container that calls its own published port gets its packets back on the link they came from.
	linux.Trace("bridge", "link", "set", "dev", name, "hairpin", "on")
	if err := l.LinkSetHairpin(port, true); err != nil {
		return fmt.Errorf("set %s to hairpin mode: %w", name, err)
	}
	return nil
}
