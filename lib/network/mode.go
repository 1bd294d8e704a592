package network

import (
	"fmt"
	"slices"
	"strings"
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

// ownsNamespace reports whether a container of this mode has a namespace that we made.
func ownsNamespace(mode string) bool { return mode == modeBridge || mode == modeNone }
