package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// cniConfig is the configuration of a network as a CNI runtime hands it to us. Keys of our own, both
// optional:
//
//	network  the name of one of our networks; the configuration's name by default. It is made if it is missing.
//	subnet   its addresses where it has to be made, "10.10.1.0/24"; by default a free /24
//
// Addresses are ours to give, so there is no ipam. Of the capabilities (CNI conventions) it knows
// portMappings, ips (one address of each family) and mac, of CNI_ARGS IP and MAC. dns is passed on as it is.
type cniConfig struct {
	CNIVersion string          `json:"cniVersion"`
	Name       string          `json:"name"`
	Network    string          `json:"network"`
	Subnet     string          `json:"subnet"`
	DNS        json.RawMessage `json:"dns"`
	IPAM       json.RawMessage `json:"ipam"`
	Runtime    struct {
		PortMappings []cniPort `json:"portMappings"`
		IPs          []string  `json:"ips"`
		MAC          string    `json:"mac"`
	} `json:"runtimeConfig"`
	PrevResult json.RawMessage  `json:"prevResult"`
	Valid      *[]cniAttachment `json:"cni.dev/valid-attachments"`
}

// cniPort is one entry of the capability portMappings.
type cniPort struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP"`
}

// cniAttachment is one entry of the list that GC gets.
type cniAttachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// cniVersions are those of the specification that we speak, in order.
func cniVersions() []string { return []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} }

// speaks reports whether the version of the configuration is at least the given one.
func (c cniConfig) speaks(version string) bool {
	all := cniVersions()
	return slices.Index(all, c.CNIVersion) >= slices.Index(all, version)
}

// network is the name of our network.
func (c cniConfig) network() string {
	if c.Network != "" {
		return c.Network
	}
	return c.Name
}

// maxConfig bounds the configuration in bytes.
const maxConfig = 1 << 20

// readCall reads the parameters and the configuration. As much as it understood is returned also where
// it fails.
func readCall(getenv func(string) string, in io.Reader) (call, error) {
	c := call{command: getenv("CNI_COMMAND")}
	if !slices.Contains([]string{cniAdd, cniDel, cniCheck, cniGC, cniStatus, cniVersion}, c.command) {
		return c, &cniError{codeBadEnvironment, fmt.Errorf("CNI_COMMAND %.20q: want ADD, DEL, CHECK, GC, STATUS or VERSION", c.command)}
	}
	data, err := io.ReadAll(io.LimitReader(in, maxConfig+1))
	switch {
	case err != nil:
		return c, &cniError{codeIO, fmt.Errorf("read the configuration: %w", err)}
	case len(data) > maxConfig:
		return c, &cniError{codeBadConfig, fmt.Errorf("the configuration is longer than %d bytes", maxConfig)}
	case c.command == cniVersion && len(bytes.TrimSpace(data)) == 0:
		c.conf.CNIVersion = "1.1.0"
		return c, nil
	}
	if err := json.Unmarshal(data, &c.conf); err != nil {
		return c, &cniError{codeDecode, fmt.Errorf("read the configuration: %w", err)}
	}
	if c.command == cniVersion {
		return c, nil
	}
	if err := c.conf.check(c.command); err != nil {
		return c, err
	}
	return c, c.readNames(getenv)
}

// check reports what is wrong with the configuration for every container.
func (c cniConfig) check(command string) error {
	bad := func(code int, format string, args ...any) error {
		return &cniError{code, fmt.Errorf(format, args...)}
	}
	since := map[string]string{cniCheck: "0.4.0", cniGC: "1.1.0", cniStatus: "1.1.0"}
	switch {
	case !slices.Contains(cniVersions(), c.CNIVersion):
		return bad(codeVersion, "cniVersion %.20q: want one of %s", c.CNIVersion, strings.Join(cniVersions(), ", "))
	case since[command] != "" && !c.speaks(since[command]):
		return bad(codeVersion, "cniVersion %s: %s is there since %s", c.CNIVersion, command, since[command])
	case !isCNIName(c.Name):
		return bad(codeBadConfig, "name %.80q: want letters, digits, _ . -, a letter or digit first", c.Name)
	case len(c.IPAM) > 0 && string(c.IPAM) != "null" && string(c.IPAM) != "{}":
		return bad(codeUnsupportedField, "ipam %.200s: addresses are given by the network itself: leave ipam out", c.IPAM)
	}
	if err := checkName(c.network()); err != nil {
		return &cniError{codeBadConfig, err}
	}
	if c.Subnet == "" {
		return nil
	}
	if _, err := parseSubnet(c.Subnet); err != nil {
		return &cniError{codeBadConfig, err}
	}
	return nil
}

// isCNIName reports whether s has the form of a container's id and of a network's name.
func isCNIName(s string) bool {
	for i, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		case i > 0 && strings.ContainsRune("_.-", r):
		default:
			return false
		}
	}
	return s != ""
}

// readNames reads whose interface the call is about, where it is about one.
func (c *call) readNames(getenv func(string) string) error {
	if c.command == cniGC || c.command == cniStatus {
		return nil
	}
	c.names = state.CNI{Network: c.conf.Name, ContainerID: getenv("CNI_CONTAINERID"), IfName: getenv("CNI_IFNAME")}
	c.netns = getenv("CNI_NETNS")
	var errs []error
	if !isCNIName(c.names.ContainerID) {
		errs = append(errs, fmt.Errorf("CNI_CONTAINERID %.80q: want letters, digits, _ . -, a letter or digit first", c.names.ContainerID))
	}
	if err := checkIfName(c.names.IfName); err != nil {
		errs = append(errs, err)
	}
	if c.command != cniDel {
		path, err := filepath.Abs(c.netns)
		switch {
		case c.netns == "":
			err = errors.New("missing")
		case err == nil:
			err = linux.CheckNetNS(path)
		}
		if err == nil && isOurs(path) {
			err = fmt.Errorf("%s is this host's own network", path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("CNI_NETNS: %w", err))
		}
		c.netns = path
	}
	if c.command == cniAdd {
		errs = append(errs, c.conf.readArgs(getenv("CNI_ARGS")))
	}
	if err := errors.Join(errs...); err != nil {
		return &cniError{codeBadEnvironment, err}
	}
	return nil
}

// readArgs reads CNI_ARGS, by which some runtimes (podman) ask for what others do by the capabilities ips and
// mac: "IP=10.1.2.3;MAC=02:00:00:00:00:01". Other keys are for other plugins.
func (c *cniConfig) readArgs(text string) error {
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

// checkIfName returns an error where no link can have the name (dev_valid_name in the kernel).
func checkIfName(name string) error {
	odd := func(r rune) bool { return r == '/' || r == ':' || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if name == "" || len(name) > maxLink || name == "." || name == ".." || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("CNI_IFNAME %.80q: want 1 to %d characters without / : and blanks", name, maxLink)
	}
	return nil
}

// endpointOptions returns what the runtime asks for by its capabilities.
func (c cniConfig) endpointOptions() (ports []state.Port, w endpointOptions, err error) {
	fail := func(format string, args ...any) ([]state.Port, endpointOptions, error) {
		return nil, endpointOptions{}, &cniError{codeBadConfig, fmt.Errorf(format, args...)}
	}
	for _, p := range c.Runtime.PortMappings {
		port, err := p.port()
		if err != nil {
			return fail("portMappings: %w", err)
		}
		ports = append(ports, port)
	}
	for _, text := range c.Runtime.IPs {
		bare, _, _ := strings.Cut(text, "/")
		if err := w.setAddress(bare); err != nil {
			return fail("ips: %w", err)
		}
	}
	if text := c.Runtime.MAC; text != "" {
		if w.mac, err = parseMAC(text); err != nil {
			return fail("%w", err)
		}
	}
	return ports, w, nil
}

// port returns a mapping as a published port.
func (p cniPort) port() (state.Port, error) {
	out := state.Port{Protocol: strings.ToLower(p.Protocol)}
	if out.Protocol == "" {
		out.Protocol = "tcp"
	}
	if out.Protocol != "tcp" && out.Protocol != "udp" && out.Protocol != "sctp" {
		return out, fmt.Errorf("protocol %.20q: want tcp, udp or sctp", p.Protocol)
	}
	for _, port := range []int{p.HostPort, p.ContainerPort} {
		if port < 1 || port > 65535 {
			return out, fmt.Errorf("%d is no port from 1 to 65535", port)
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

// previous returns the result of the plugins before us in the chain; for CHECK, of all of them.
func (c cniConfig) previous() (cniResult, error) {
	r := cniResult{}
	if len(c.PrevResult) > 0 {
		if err := json.Unmarshal(c.PrevResult, &r); err != nil {
			return nil, &cniError{codeDecode, fmt.Errorf("read prevResult: %w", err)}
		}
	}
	if r == nil {
		r = cniResult{} // null
	}
	version, err := json.Marshal(c.CNIVersion)
	r["cniVersion"] = version
	return r, err
}
