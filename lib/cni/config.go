package cni

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// Config is the configuration of a network. It has two optional keys of our own:
//
//	network  name of the network, which is made if it is missing (default: the configuration's name)
//	subnet   its subnet if it has to be made, "10.10.1.0/24" (default: a free /24)
//
// Networks lease their addresses themselves, so ipam is refused. The supported capabilities (CNI conventions) are
// portMappings, ips (one address of each family) and mac; of CNI_ARGS, IP and MAC. dns is passed on unchanged.
type Config struct {
	CNIVersion string          `json:"cniVersion"`
	Name       string          `json:"name"`
	Network    string          `json:"network"`
	Subnet     string          `json:"subnet"`
	DNS        json.RawMessage `json:"dns"`
	IPAM       json.RawMessage `json:"ipam"`
	Runtime    struct {
		PortMappings []portMapping `json:"portMappings"`
		IPs          []string      `json:"ips"`
		MAC          string        `json:"mac"`
	} `json:"runtimeConfig"`
	PrevResult json.RawMessage `json:"prevResult"`
	Valid      *[]Attachment   `json:"cni.dev/valid-attachments"`
}

// portMapping is an entry of the capability portMappings.
type portMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP"`
}

// Attachment is an entry of the list of valid attachments that GC gets.
type Attachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// speaks reports whether the configuration has at least the given version.
func (c Config) speaks(version string) bool {
	all := SupportedVersions()
	return slices.Index(all, c.CNIVersion) >= slices.Index(all, version)
}

// NetworkName is the name of our network.
func (c Config) NetworkName() string {
	if c.Network != "" {
		return c.Network
	}
	return c.Name
}

// check returns an error if the configuration is wrong for every container.
func (c Config) check(command string) error {
	bad := func(code int, format string, args ...any) error {
		return &Error{code, fmt.Errorf(format, args...)}
	}
	since := map[string]string{Check: "0.4.0", GC: "1.1.0", Status: "1.1.0"}
	switch {
	case !slices.Contains(SupportedVersions(), c.CNIVersion):
		return bad(CodeVersion, "cniVersion %.20q: want one of %s", c.CNIVersion, strings.Join(SupportedVersions(), ", "))
	case since[command] != "" && !c.speaks(since[command]):
		return bad(CodeVersion, "cniVersion %s: %s needs %s", c.CNIVersion, command, since[command])
	case !isName(c.Name):
		return bad(CodeBadConfig, "name %.80q: want letters, digits, _ . -, a letter or digit first", c.Name)
	case len(c.IPAM) > 0 && string(c.IPAM) != "null" && string(c.IPAM) != "{}":
		return bad(CodeUnsupportedField, "ipam %.200s: not supported: the network leases the addresses itself", c.IPAM)
	}
	return nil
}

// readArgs reads CNI_ARGS, with which some runtimes (podman) pass what others pass as the capabilities ips and mac:
// "IP=10.1.2.3;MAC=02:00:00:00:00:01". Keys of other plugins are ignored.
func (c *Config) readArgs(text string) error {
	if text == "" {
		return nil
	}
	for pair := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok || key == "":
			return fmt.Errorf("CNI_ARGS %.80q: want KEY=VALUE, separated by ;", text)
		case key == "IP" && len(c.Runtime.IPs) == 0:
			c.Runtime.IPs = []string{value}
		case key == "MAC" && c.Runtime.MAC == "":
			c.Runtime.MAC = value
		}
	}
	return nil
}

// Ports returns the ports to publish.
func (c Config) Ports() ([]state.Port, error) {
	var ports []state.Port
	for _, p := range c.Runtime.PortMappings {
		port, err := p.port()
		if err != nil {
			return nil, &Error{CodeBadConfig, fmt.Errorf("portMappings: %w", err)}
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func (p portMapping) port() (state.Port, error) {
	out := state.Port{Protocol: strings.ToLower(p.Protocol)}
	if out.Protocol == "" {
		out.Protocol = "tcp"
	}
	if out.Protocol != "tcp" && out.Protocol != "udp" && out.Protocol != "sctp" {
		return out, fmt.Errorf("protocol %.20q: want tcp, udp or sctp", p.Protocol)
	}
	for _, port := range []int{p.HostPort, p.ContainerPort} {
		if port < 1 || port > 65535 {
			return out, fmt.Errorf("port %d: want a number from 1 to 65535", port)
		}
	}
	out.HostPort, out.ContainerPort = uint16(p.HostPort), uint16(p.ContainerPort)
	if p.HostIP == "" {
		return out, nil
	}
	ip, err := netip.ParseAddr(p.HostIP)
	if err != nil {
		return out, fmt.Errorf("hostIP %.80q: want an address of this host", p.HostIP)
	}
	out.HostIP = ip.Unmap()
	return out, nil
}

// Previous returns the result of the earlier plugins in the chain; for CHECK, of all plugins.
func (c Config) Previous() (Result, error) {
	r := Result{}
	if len(c.PrevResult) > 0 {
		if err := json.Unmarshal(c.PrevResult, &r); err != nil {
			return nil, &Error{CodeDecode, fmt.Errorf("read prevResult: %w", err)}
		}
	}
	if r == nil {
		r = Result{} // null
	}
	version, err := json.Marshal(c.CNIVersion)
	r["cniVersion"] = version
	return r, err
}
