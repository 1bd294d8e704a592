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

// Options say how a container is connected.
type Options struct {
	Network []string `name:"network" aliases:"net" sep:"none" help:"Connect the container to a network (none to disable)"`
	Publish []string `name:"publish" short:"p" sep:"none" help:"Publish the container's port(s) to the host"`
}

// How a container is connected: the values of [state.Net].Mode. The last two go on with what they name.
const (
	modeBridge    = "bridge"
	modeNone      = "none"
	modeHost      = "host"
	modeContainer = "container:"
	modePath      = "ns:"
)

// Check reports what is wrong with the options by themselves, before anything is made.
func (o Options) Check() error {
	_, _, _, err := o.parse()
	return err
}

// parse returns the mode that the options ask for, in bridge mode the names of the networks, and the ports.
func (o Options) parse() (mode string, networks []string, ports []state.Port, err error) {
	mode, networks, err = parseNetworks(o.Network)
	if err != nil {
		return "", nil, nil, err
	}
	for _, v := range o.Publish {
		list, err := ParsePort(v)
		if err != nil {
			return "", nil, nil, err
		}
		ports = append(ports, list...)
	}
	return mode, networks, ports, checkPorts(mode, ports)
}

// checkPorts refuses ports that nothing could answer.
func checkPorts(mode string, ports []state.Port) error {
	for _, p := range ports {
		if mode != modeBridge {
			return fmt.Errorf("publish %d/%s: a container with --network %s has no ports of its own", p.ContainerPort, p.Protocol, mode)
		}
		if p.HostIP.Is6() {
			return fmt.Errorf("publish %d/%s on %s: the container has no IPv6 address", p.ContainerPort, p.Protocol, p.HostIP)
		}
	}
	return nil
}

// parseNetworks returns the mode that the values of --network ask for and, in bridge mode, the names of
// the networks.
func parseNetworks(values []string) (mode string, networks []string, err error) {
	if len(values) == 0 {
		return modeBridge, []string{Default}, nil
	}
	for i, v := range values {
		if isMode(v) {
			if len(values) > 1 {
				return "", nil, fmt.Errorf("network %.80s: cannot be combined with other networks", v)
			}
			return v, nil, nil
		}
		if err := checkName(v); err != nil {
			return "", nil, err
		}
		if slices.Contains(values[:i], v) {
			return "", nil, fmt.Errorf("network %s: named twice", v)
		}
	}
	return modeBridge, values, nil
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
	run, err := m.dir.ReadRun(id)
	if err == nil && !run.Init.Alive() {
		err = errors.New("it is not running")
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/%d/ns/net", run.Init.PID), nil
}
