package link

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

// Plug connects a network namespace to a bridge: a veth pair, the endpoint's addresses, and a default route through each
// gateway. The calling thread is in the namespace, which is at path; inside is a handle in it, host one on the host.
func Plug(host, inside Handle, bridge Link, e state.Endpoint, path string, gateways []netip.Addr) error {
	if err := host.addPair(bridge, e, path); err != nil {
		return err
	}
	dev, err := inside.Find(e.Link)
	if err != nil {
		return err
	}
	if dev == nil {
		return fmt.Errorf("link %s has disappeared from the namespace", e.Link)
	}
	if err := PrepareIPv6(e.Link, e.Address6.IsValid(), inside.in...); err != nil {
		return err
	}
	for _, addr := range e.Addresses() {
		if err := inside.AddAddress(dev, addr); err != nil {
			return err
		}
	}
	if err := inside.SetUp(dev); err != nil {
		return err
	}
	if err := inside.AddDefaultRoutes(dev, gateways); err != nil {
		return err
	}
	return host.awaitUp(e.HostLink, bridge.Attrs().Name)
}

// addPair makes the veth pair of an endpoint: one end on the bridge, the other in the namespace at path.
func (h Handle) addPair(bridge Link, e state.Endpoint, path string) error {
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
	if e.Address6.IsValid() { // see RedirectToBridge
		hostMAC = master.HardwareAddr
		words = append(words, "address", hostMAC.String())
	}
	h.trace(append(words, "type", "veth",
		"peer", "name", e.Link, "mtu", fmt.Sprint(master.MTU), "address", e.MAC, "netns", path)...)
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: e.HostLink, MTU: master.MTU, TxQLen: -1, HardwareAddr: hostMAC},
		PeerName:  e.Link, PeerHardwareAddr: mac, PeerMTU: uint32(master.MTU), PeerTxQLen: -1,
		PeerNamespace: netlink.NsFd(ns.Fd()),
	}
	if err := h.LinkAdd(pair); err != nil {
		return fmt.Errorf("add link %s: %w", e.HostLink, err)
	}
	// Our firewall rules match the bridge, so the host end stays down until it is on the bridge: programs may run in the
	// namespace already.
	if err := h.Enslave(pair, bridge); err != nil {
		return err
	}
	return h.SetUp(pair)
}

// Enslave puts a link on a bridge, in hairpin mode: a container that calls its own published port gets the packets back on
// the link that they came from.
func (h Handle) Enslave(port, bridge Link) error {
	name, master := port.Attrs().Name, bridge.Attrs()
	h.trace("link", "set", name, "master", master.Name)
	err := h.LinkSetMasterByIndex(port, master.Index)
	if errors.Is(err, syscall.EXFULL) {
		return fmt.Errorf("connect %s to bridge %s: a bridge has room for 1023 links", name, master.Name)
	}
	if err != nil {
		return fmt.Errorf("connect %s to bridge %s: %w", name, master.Name, err)
	}
	linux.Trace("bridge", "link", "set", "dev", name, "hairpin", "on")
	if err := h.LinkSetHairpin(port, true); err != nil {
		return fmt.Errorf("set %s to hairpin mode: %w", name, err)
	}
	return nil
}
