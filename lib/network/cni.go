package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/cni"
	"github.com/weikeit/mydocker/lib/firewall"
	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// CNI handles one call of a container runtime as a CNI plugin, and returns the exit code. getenv looks up the parameters, in
// has the configuration ([cni.Config]), and the result or the error is written to out.
//
// The interface is attached as by [Manager.AttachTo], under an id made of the runtime's names.
func (m *Manager) CNI(ctx context.Context, getenv func(string) string, in io.Reader, out io.Writer) (code int) {
	c, err := cni.Read(getenv, in, checkCNI)
	if err == nil {
		err = m.answerCNI(ctx, c, out)
	}
	if err != nil {
		return cni.WriteError(out, c.Config.CNIVersion, err)
	}
	return 0
}

// checkCNI returns an error if a configuration names no valid network.
func checkCNI(conf cni.Config) error {
	if err := checkName(conf.NetworkName()); err != nil || conf.Subnet == "" {
		return err
	}
	_, err := parseSubnet(conf.Subnet)
	return err
}

func (m *Manager) answerCNI(ctx context.Context, c cni.Call, out io.Writer) error {
	switch c.Command {
	case cni.Add:
		result, err := m.cniAdd(ctx, c)
		if err != nil {
			return err
		}
		if err := cni.WriteJSON(out, result); err != nil {
			return errors.Join(err, m.cniDel(context.WithoutCancel(ctx), c))
		}
		return nil
	case cni.Del:
		return m.cniDel(ctx, c)
	case cni.Check:
		return m.cniCheck(ctx, c)
	case cni.GC:
		return m.cniGC(ctx, c)
	case cni.Status:
		return m.cniStatus(c)
	}
	return c.WriteVersions(out)
}

// cniAdd connects the container's namespace to the network.
func (m *Manager) cniAdd(ctx context.Context, c cni.Call) (cni.Result, error) {
	result, err := c.Config.Previous()
	if err != nil {
		return nil, err
	}
	ports, err := c.Config.Ports()
	if err != nil {
		return nil, err
	}
	options, err := cniOptions(c)
	if err != nil {
		return nil, &cni.Error{Code: cni.CodeBadConfig, Err: err}
	}
	if err := checkNoInterface(c); err != nil {
		return nil, err
	}
	network, err := m.cniNetwork(ctx, c.Config)
	if err != nil {
		return nil, err
	}
	n := state.Net{Mode: state.ModeBridge, NetNS: c.NetNS, CNI: c.Names, Ports: ports}
	n, err = m.attachNetNS(ctx, c.ID(), n, []join{{network.Name, options}})
	if err != nil {
		return nil, err
	}
	if err := m.addResult(result, c, n.Endpoints[0]); err != nil {
		return nil, errors.Join(err, m.cniDel(context.WithoutCancel(ctx), c))
	}
	return result, nil
}

// cniOptions returns the endpoint options that the runtime passes as capabilities.
func cniOptions(c cni.Call) (o endpointOptions, err error) {
	o.link = c.Names.IfName
	for _, text := range c.Config.Runtime.IPs {
		bare, _, _ := strings.Cut(text, "/")
		if err := o.setAddress(bare); err != nil {
			return o, fmt.Errorf("ips: %w", err)
		}
	}
	if text := c.Config.Runtime.MAC; text != "" {
		return o, o.setMAC(text)
	}
	return o, nil
}

// checkNoInterface returns an error if the namespace has an interface with the name already.
func checkNoInterface(c cni.Call) error {
	return linux.InNetNS(c.NetNS, func() error {
		dev, err := link.Find(c.Names.IfName)
		if err == nil && dev != nil {
			err = fmt.Errorf("the namespace %s has an interface %s already", c.NetNS, c.Names.IfName)
		}
		return err
	})
}

// cniNetwork returns the network of a configuration, and makes it if it is missing.
func (m *Manager) cniNetwork(ctx context.Context, conf cni.Config) (Network, error) {
	n, err := m.load(conf.NetworkName())
	if errors.Is(err, state.ErrNotFound) {
		var o CreateOptions
		if conf.Subnet != "" {
			o.Subnet = []string{conf.Subnet}
		}
		createErr := m.Create(ctx, conf.NetworkName(), o)
		n, err = m.load(conf.NetworkName()) // another call may have been faster
		if err != nil && createErr != nil {
			err = createErr
		}
	}
	if err == nil && conf.Subnet != "" && listed(n.subnets(state.IPv4)) != conf.Subnet {
		err = &cni.Error{Code: cni.CodeBadConfig, Err: fmt.Errorf("subnet %s: network %s has %s", conf.Subnet, n.Name, n.IPNets[0])}
	}
	return n, err
}

// addResult adds a new endpoint to the result. It loads the network, because attaching may have chosen the bridge and the
// addresses of the default network.
func (m *Manager) addResult(result cni.Result, c cni.Call, e state.Endpoint) error {
	n, err := m.load(e.Network)
	if err != nil {
		return err
	}
	made := cni.Added{Addresses: e.Addresses(), Gateway: n.gateway}
	describe := func(name, sandbox string) error {
		dev, err := link.MustFind(name)
		if err != nil {
			return err
		}
		a := dev.Attrs()
		made.Interfaces = append(made.Interfaces, cni.Interface{Name: name, MAC: a.HardwareAddr.String(), MTU: a.MTU, Sandbox: sandbox})
		return nil
	}
	for _, name := range []string{n.Link, e.HostLink} {
		if err := describe(name, ""); err != nil {
			return err
		}
	}
	err = linux.InNetNS(c.NetNS, func() error {
		if err := describe(e.Link, c.NetNS); err != nil {
			return err
		}
		made.Routed, err = link.DefaultRoutes(e.Link)
		return err
	})
	if err != nil {
		return err
	}
	return result.Add(c.Config, made)
}

// cniDel removes the attachment. It is idempotent.
func (m *Manager) cniDel(ctx context.Context, c cni.Call) error {
	return m.change(ctx, c.ID(), func(ctx context.Context, id string, n state.Net) error {
		if n.Mode != "" && n.CNI != c.Names {
			return nil // a hash collision: the id is another attachment's
		}
		return m.forget(ctx, id, n)
	})
}

// cniGC removes the attachments that the runtime does not list, and those whose namespaces are gone.
func (m *Manager) cniGC(ctx context.Context, c cni.Call) error {
	return m.detachIf(ctx, func(id string, n state.Net) bool {
		if n.CNI.Network != c.Config.Name || c.Config.Valid == nil {
			return m.isLost(id, n)
		}
		return !slices.ContainsFunc(*c.Config.Valid, func(a cni.Attachment) bool {
			return a.ContainerID == n.CNI.ContainerID && a.IfName == n.CNI.IfName
		})
	})
}

// cniStatus returns an error if an ADD cannot succeed.
func (m *Manager) cniStatus(c cni.Call) error {
	unavailable := func(err error) error { return &cni.Error{Code: cni.CodeUnavailable, Err: err} }
	if os.Geteuid() != 0 {
		return unavailable(errors.New("want root"))
	}
	for _, tool := range []string{"iptables-restore", "iptables-save"} {
		if _, err := firewall.FindTool(tool); err != nil {
			return &cni.Error{Code: cni.CodeUnavailableLimited, Err: err} // published ports cannot be removed either
		}
	}
	n, err := m.load(c.Config.NetworkName())
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil // ADD makes it
	case err != nil:
		return unavailable(err)
	}
	if n.Link != "" { // the default network may have no bridge yet
		if dev, err := link.Find(n.Link); err != nil || dev != nil && !m.isOurs(dev, n) {
			return unavailable(fmt.Errorf("network %s: the link %s exists and is not ours", n.Name, n.Link))
		}
	}
	if !m.hasRoom(n) {
		return unavailable(noFree(n, state.IPv4))
	}
	return nil
}

// hasRoom reports whether a network has a free IPv4 address.
func (m *Manager) hasRoom(n Network) bool {
	leased := 0
	for _, addr := range m.leased(n.Name) {
		if addr.Is4() && !m.isGone(m.holder(n.Name, addr)) {
			leased++
		}
	}
	room := 0
	for _, p := range n.subnets(state.IPv4) {
		room += 1<<(32-p.Bits()) - 3 // without the subnet's, the gateway's and the broadcast address
	}
	return leased < room
}

// cniCheck returns an error if what ADD has made is missing, or differs from the result (CNI specification, section 2
// "CHECK"). Routes are not checked, because later plugins may change them.
func (m *Manager) cniCheck(ctx context.Context, c cni.Call) error {
	result, err := c.Config.Previous()
	if err != nil {
		return err
	}
	n, err := m.dir.ReadNet(c.ID())
	if err != nil {
		return err
	}
	if n.CNI != c.Names || len(n.Endpoints) == 0 {
		return &cni.Error{Code: cni.CodeUnknownContainer, Err: fmt.Errorf("container %s has no attached interface %s", c.Names.ContainerID, c.Names.IfName)}
	}
	e := n.Endpoints[0]
	if err := result.Expect(e); err != nil {
		return err
	}
	for _, addr := range e.Addresses() {
		if holder := m.holder(e.Network, addr.Addr()); holder != c.ID() {
			return fmt.Errorf("network %s: address %s is not leased to it", e.Network, addr.Addr())
		}
	}
	if err := m.checkHostLink(e); err != nil {
		return err
	}
	if err := linux.InNetNS(c.NetNS, func() error { return checkLink(e) }); err != nil {
		return fmt.Errorf("namespace %s: %w", c.NetNS, err)
	}
	return m.firewall.CheckPorts(ctx, c.ID(), n)
}

// checkHostLink checks the host's end of an endpoint and the bridge.
func (m *Manager) checkHostLink(e state.Endpoint) error {
	n, err := m.load(e.Network)
	if err != nil {
		return err
	}
	bridge, err := link.MustFind(n.Link)
	if err != nil {
		return err
	}
	dev, err := link.MustFind(e.HostLink)
	if err != nil {
		return err
	}
	if dev.Attrs().MasterIndex != bridge.Attrs().Index {
		return fmt.Errorf("link %s is not connected to bridge %s", e.HostLink, n.Link)
	}
	return nil
}

// checkLink checks the container's end of an endpoint, in the namespace of the calling thread.
func checkLink(e state.Endpoint) error {
	dev, err := link.MustFind(e.Link)
	if err != nil {
		return err
	}
	if mac := dev.Attrs().HardwareAddr.String(); mac != e.MAC {
		return fmt.Errorf("link %s has the hardware address %s, not %s", e.Link, mac, e.MAC)
	}
	addrs, err := link.Addresses(dev)
	if err != nil {
		return err
	}
	for _, want := range e.Addresses() {
		if !slices.Contains(addrs, want) {
			return fmt.Errorf("link %s lacks the address %s", e.Link, want)
		}
	}
	return nil
}
