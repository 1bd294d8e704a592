package network

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/weikeit/mydocker/lib/state"
)

// TableHeader names the columns of the list of networks.
func TableHeader() []string {
	return []string{"NAME", "IPNETS", "GATEWAY", "COUNTS", "DRIVER", "CREATED"}
}

// Row returns the network's row in the list. Times are local.
func (n Network) Row() []string {
	return []string{n.Name, listed(n.IPNets), listed(n.Gateways), strconv.Itoa(n.Counts), n.Driver, n.created()}
}

// View is the output of inspect for a network.
type View struct {
	IPNet      string // more than one, separated by ", "
	Gateway    string
	Name       string
	Counts     int
	Driver     string
	CreateTime string // local, as in the list

	Internal bool              `json:",omitempty"`
	Labels   map[string]string `json:",omitempty"`
}

// View returns the output of inspect.
func (n Network) View() View {
	return View{
		IPNet: listed(n.IPNets), Gateway: listed(n.Gateways), Name: n.Name,
		Counts: n.Counts, Driver: n.Driver, CreateTime: n.created(), Internal: n.Internal, Labels: n.Labels,
	}
}

// ContainerView is the output of inspect for a container or an attached namespace.
type ContainerView struct {
	ID string `json:"id"`
	state.Net
}

// InspectContainer returns the record of container id. The error wraps [state.ErrNotFound] if it has none.
func (m *Manager) InspectContainer(id string) (ContainerView, error) {
	n, err := m.dir.ReadNet(id)
	if err == nil && n.Mode == "" {
		err = fmt.Errorf("network of container %s: %w", id, state.ErrNotFound)
	}
	return ContainerView{id, n}, err
}

// Published lists the published ports of container id as docker does: "80/tcp -> 0.0.0.0:8080". For a given port ("80",
// "53/udp") the lines have the right side only.
func (m *Manager) Published(id, port string) ([]string, error) {
	n, err := m.dir.ReadNet(id)
	if err != nil {
		return nil, err
	}
	number, protocol, ok := strings.Cut(port, "/")
	if !ok {
		protocol = "tcp"
	}
	var lines []string
	for _, p := range n.Ports {
		inside := strconv.Itoa(int(p.ContainerPort))
		if port != "" && (inside != number || p.Protocol != protocol) {
			continue
		}
		for _, addr := range hostAddresses(p, n) {
			line := state.Bracketed(addr) + ":" + strconv.Itoa(int(p.HostPort))
			if port == "" {
				line = inside + "/" + p.Protocol + " -> " + line
			}
			lines = append(lines, line)
		}
	}
	if port != "" && len(lines) == 0 {
		return nil, fmt.Errorf("port %.40s is not published", port)
	}
	return lines, nil
}

// hostAddresses returns the addresses of the host on which a port answers.
func hostAddresses(p state.Port, n state.Net) []netip.Addr {
	switch {
	case p.HostIP.IsValid():
		return []netip.Addr{p.HostIP}
	case n.Outlet(state.IPv6) >= 0:
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	return []netip.Addr{netip.IPv4Unspecified()}
}

func (n Network) created() string { return n.Created.Local().Format(time.DateTime) }

func listed[T netip.Addr | netip.Prefix](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}
