package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// The commands of a CNI plugin (CNI specification 1.1, section 2).
const (
	cniAdd     = "ADD"
	cniDel     = "DEL"
	cniCheck   = "CHECK"
	cniGC      = "GC"
	cniStatus  = "STATUS"
	cniVersion = "VERSION"
)

// CNI makes md-net a plugin of the Container Network Interface (specification 1.1 and older ones from 0.3.0
// on): it answers one call of a container runtime, and returns the exit code. The parameters are looked up
// by getenv (CNI_COMMAND and others), the configuration of the network is read from in, the result, or a JSON object
// that says what went wrong, is written to out.
//
// A container's interface is attached as [Manager.AttachTo] does it, under an id of ours made of the
// names that the runtime gives it. How a network is configured says [cniConfig].
func (m *Manager) CNI(ctx context.Context, getenv func(string) string, in io.Reader, out io.Writer) (code int) {
	c, err := readCall(getenv, in)
	if err != nil {
		return CNIError(out, c.conf.CNIVersion, err)
	}
	result, err := m.cni(ctx, c)
	if err == nil && result != nil {
		err = writeJSON(out, result)
		if err != nil && c.command == cniAdd {
			err = errors.Join(err, m.cniDel(context.WithoutCancel(ctx), c))
		}
	}
	if err != nil {
		return CNIError(out, c.conf.CNIVersion, err)
	}
	return 0
}

// cni does what a call asks for. The result may be nil.
func (m *Manager) cni(ctx context.Context, c call) (result any, err error) {
	switch c.command {
	case cniAdd:
		return m.cniAdd(ctx, c)
	case cniDel:
		return nil, m.cniDel(ctx, c)
	case cniCheck:
		return nil, m.cniCheck(ctx, c)
	case cniGC:
		return nil, m.cniGC(ctx, c)
	case cniStatus:
		return nil, m.cniStatus(c)
	}
	return versions{c.conf.CNIVersion, cniVersions()}, nil
}

// call is one call of the plugin: parameters and configuration.
type call struct {
	command string
	conf    cniConfig
	netns   string // CNI_NETNS
	names   state.CNI
}

// id is our name for the attachment. The runtime's names may be long and of many forms; ours has to be
// safe as an element of a path, and the same at each call.
func (c call) id() string {
	sum := sha256.Sum256([]byte(c.names.Network + "\n" + c.names.ContainerID + "\n" + c.names.IfName))
	return hex.EncodeToString(sum[:6])
}

// cniAdd connects the container's namespace to the network.
func (m *Manager) cniAdd(ctx context.Context, c call) (any, error) {
	previous, err := c.conf.previous()
	if err != nil {
		return nil, err
	}
	ports, w, err := c.conf.endpointOptions()
	if err != nil {
		return nil, err
	}
	w.link = c.names.IfName
	var there bool
	err = linux.InNetNS(c.netns, func() error {
		link, err := findLink(w.link)
		there = link != nil
		return err
	})
	if err == nil && there {
		err = fmt.Errorf("the namespace %s has an interface %s already", c.netns, w.link)
	}
	if err != nil {
		return nil, err
	}
	network, err := m.cniNetwork(ctx, c.conf)
	if err != nil {
		return nil, err
	}
	n := state.Net{Mode: modeBridge, NetNS: c.netns, CNI: c.names, Ports: ports}
	n, err = m.attachForeign(ctx, c.id(), n, []join{{network.Name, w}})
	if err != nil {
		return nil, err
	}
	// Again: the default network's bridge and addresses may only now be settled.
	if network, err = m.load(network.Name); err == nil {
		err = previous.add(c, network, n.Endpoints[0])
	}
	if err != nil {
		return nil, errors.Join(err, m.cniDel(context.WithoutCancel(ctx), c))
	}
	return previous, nil
}

// cniNetwork returns the network that a configuration means, which is made where it is missing.
func (m *Manager) cniNetwork(ctx context.Context, conf cniConfig) (Network, error) {
	n, err := m.load(conf.network())
	if errors.Is(err, state.ErrNotFound) {
		var o CreateOptions
		if conf.Subnet != "" {
			o.Subnet = []string{conf.Subnet}
		}
		createErr := m.Create(ctx, conf.network(), o)
		n, err = m.load(conf.network()) // it may be there although another one was faster
		if err != nil && createErr != nil {
			err = createErr
		}
	}
	if err == nil && conf.Subnet != "" && listed(n.subnets(ipv4)) != conf.Subnet {
		err = &cniError{codeBadConfig, fmt.Errorf("subnet %s: network %s has %s", conf.Subnet, n.Name, n.IPNets[0])}
	}
	return n, err
}

// cniDel takes the attachment back. It is idempotent.
func (m *Manager) cniDel(ctx context.Context, c call) error {
	return m.change(ctx, c.id(), func(ctx context.Context, id string, n state.Net) error {
		if n.Mode != "" && n.CNI != c.names {
			return nil // by the rarest of accidents, the id is another's
		}
		return m.forget(ctx, id, n)
	})
}

// cniGC takes back what the runtime no longer knows of, and what is gone.
func (m *Manager) cniGC(ctx context.Context, c call) error {
	return m.collect(ctx, func(id string, n state.Net) bool {
		if n.CNI.Network != c.conf.Name || c.conf.Valid == nil {
			return m.lost(id, n)
		}
		return !slices.ContainsFunc(*c.conf.Valid, func(a cniAttachment) bool {
			return a.ContainerID == n.CNI.ContainerID && a.IfName == n.CNI.IfName
		})
	})
}

// cniStatus returns an error where an ADD cannot work.
func (m *Manager) cniStatus(c call) error {
	unavailable := func(err error) error { return &cniError{codeUnavailable, err} }
	if os.Geteuid() != 0 {
		return unavailable(errors.New("want root"))
	}
	for _, tool := range []string{"iptables-restore", "iptables-save"} {
		if _, err := findTool(tool); err != nil {
			return &cniError{codeUnavailableLimited, err} // published ports cannot be taken away, either
		}
	}
	n, err := m.load(c.conf.network())
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil // it is made when it is needed
	case err != nil:
		return unavailable(err)
	}
	if n.Link != "" { // the default network may not have its bridge yet
		if link, err := findLink(n.Link); err != nil || link != nil && !m.owns(link, n) {
			return unavailable(fmt.Errorf("network %s: the link %s exists and is not ours", n.Name, n.Link))
		}
	}
	held := 0
	for _, addr := range m.leased(n.Name) {
		if addr.Is4() && !m.gone(m.holder(n.Name, addr)) {
			held++
		}
	}
	room := 0
	for _, p := range n.subnets(ipv4) {
		room += 1<<(32-p.Bits()) - 3 // less the subnet's own address, the gateway's and the broadcast's
	}
	if held >= room {
		return unavailable(noFree(n, ipv4))
	}
	return nil
}
