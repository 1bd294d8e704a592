package network

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Options say how a container is connected, and what it publishes. They are parted so that `mydocker run` can
// list its options in the README's order.
type Options struct {
	Connection
	Exposed

	// Unnamed spares the neighbours the news of a container that has no name and ends with its command.
	Unnamed bool `kong:"-"`
}

// Connection are the networks and the ports.
type Connection struct {
	Network []string `name:"network" aliases:"net" sep:"none" help:"Connect the container to a network (none to disable)"`
	Publish []string `name:"publish" short:"p" sep:"none" help:"Publish the container's port(s) to the host"`
}

// Exposed is the option that the README does not list.
type Exposed struct {
	PublishAll bool `short:"P" help:"Publish all ports that the image exposes, on free ports of the host"`
}

// How a container is connected: the values of [state.Net].Mode. The last two go on with what they name.
const (
	modeBridge    = "bridge"
	modeNone      = "none"
	modeHost      = "host"
	modeContainer = "container:"
	modePath      = "ns:"
)

// plan is what the options mean.
type plan struct {
	mode  string
	joins []join // in bridge mode
	ports []state.Port
}

// join is a network to connect to, and how.
type join struct {
	network string
	endpointOptions
}

// Check reports what is wrong with the options by themselves, before anything is made.
func (o Connection) Check() error {
	_, err := o.parse()
	return err
}

func (o Connection) parse() (plan, error) {
	var p plan
	var err error
	if p.mode, p.joins, err = parseNetworks(o.Network); err != nil {
		return p, err
	}
	for _, v := range o.Publish {
		list, err := ParsePort(v)
		if err != nil {
			return p, err
		}
		p.ports = append(p.ports, list...)
	}
	return p, checkPorts(p.mode, p.ports)
}

// checkPorts refuses ports that nothing could answer.
func checkPorts(mode string, ports []state.Port) error {
	if len(ports) > 0 && mode != modeBridge {
		p := ports[0]
		return fmt.Errorf("publish %d/%s: a container with --network %s has no ports of its own", p.ContainerPort, p.Protocol, mode)
	}
	return nil
}

// parseNetworks returns the mode that the values of --network ask for and, in bridge mode, the networks.
func parseNetworks(values []string) (mode string, joins []join, err error) {
	if len(values) == 0 {
		return modeBridge, []join{{network: Default}}, nil
	}
	for _, v := range values {
		if isMode(v) {
			if len(values) > 1 {
				return "", nil, fmt.Errorf("network %.80s: cannot be combined with other networks", v)
			}
			return v, nil, nil
		}
		j, err := parseJoin(v)
		if err != nil {
			return "", nil, err
		}
		if slices.ContainsFunc(joins, func(other join) bool { return other.network == j.network }) {
			return "", nil, fmt.Errorf("network %s: named twice", j.network)
		}
		joins = append(joins, j)
	}
	return modeBridge, joins, nil
}

// parseJoin reads NAME[,ip=ADDRESS][,alias=NAME][,mac=ADDRESS]. alias may be repeated, and so may ip, once
// for each family.
func parseJoin(v string) (join, error) {
	words := strings.Split(v, ",")
	j := join{network: words[0]}
	if err := checkName(j.network); err != nil {
		return j, err
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "ip":
			err = j.setAddress(value)
		case "alias":
			err = j.addAlias(value)
		case "mac":
			j.mac, err = parseMAC(value)
		default:
			err = fmt.Errorf("%.80q: want ip=ADDRESS, alias=NAME or mac=ADDRESS", word)
		}
		if err != nil {
			return j, fmt.Errorf("network %s: %w", j.network, err)
		}
	}
	return j, nil
}

// isMode reports whether a value of --network is no network's name.
func isMode(v string) bool {
	return v == modeNone || v == modeHost || strings.HasPrefix(v, modeContainer) || strings.HasPrefix(v, modePath)
}

// ownsNamespace reports whether a container of this mode has a namespace of its own.
func ownsNamespace(mode string) bool { return mode == modeBridge || mode == modeNone }

// namespacePath is where the namespace is that a container has for itself.
func (m *Manager) namespacePath(id string, n state.Net) string {
	return cmp.Or(n.NetNS, m.dir.NetNS(id))
}

// sharedNamespace returns the path of the namespace that a container of this mode shares: "" is the host's.
func (m *Manager) sharedNamespace(mode string) (string, error) {
	if path, ok := strings.CutPrefix(mode, modePath); ok {
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("network %s: want an absolute path", mode)
		}
		if err := linux.CheckNetNS(path); err != nil {
			return "", fmt.Errorf("network %s: %w", mode, err)
		}
		return path, nil
	}
	other, ok := strings.CutPrefix(mode, modeContainer)
	if !ok {
		return "", nil
	}
	path, err := m.Namespace(other)
	if err != nil {
		return "", fmt.Errorf("network of container %s: %w", m.containerName(other), err)
	}
	return path, nil
}

// Namespace returns the path of the network namespace that container id is in, or that is attached under
// this id.
func (m *Manager) Namespace(id string) (string, error) {
	n, err := m.dir.ReadNet(id)
	if err != nil {
		return "", err
	}
	if ownsNamespace(n.Mode) && m.isUp(id, n) {
		return m.namespacePath(id, n), nil
	}
	if n.NetNS != "" {
		return "", fmt.Errorf("the namespace %s is gone", n.NetNS)
	}
	// It has not its own: the host's, a third one's, or one of a namespace's path.
	pid, life := m.dir.Look(id).Run.Init.Local()
	switch {
	case life == state.Dead:
		return "", errors.New("it is not running")
	case pid == 0:
		return "", state.ErrElsewhere
	}
	return fmt.Sprintf("/proc/%d/ns/net", pid), nil
}
