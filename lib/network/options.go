package network

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/state"
)

// Options say how a container is connected and what it publishes. They are in parts so that `mydocker run` can list its
// options in the order of its page.
type Options struct {
	Connection
	Exposed

	// Unnamed keeps a container without a name out of the hosts files of others. It ends with its command.
	Unnamed bool `kong:"-"`
}

// Connection has the networks and ports.
type Connection struct {
	Network []string `name:"network" aliases:"net" sep:"none" help:"Connect the container to a network (none to disable)"`
	Publish []string `name:"publish" short:"p" sep:"none" help:"Publish the container's port(s) to the host"`

	// For the first network. A value of Network can say the same of any.
	IP    []string `name:"ip" docker:"ip6" sep:"none" placeholder:"ADDRESS" help:"The address in the network: IPv4, IPv6, or one of each (default: the lowest free one)"`
	Alias []string `name:"network-alias" docker:"net-alias" sep:"none" placeholder:"NAME" help:"Another name of the container in the network"`
	MAC   string   `name:"mac-address" placeholder:"ADDRESS" help:"The hardware address in the network"`
}

// Exposed has the option --publish-all.
type Exposed struct {
	PublishAll bool `short:"P" help:"Publish all ports that the image exposes, on free ports of the host"`
}

// plan is what the options mean.
type plan struct {
	mode  string
	joins []join // in bridge mode
	ports []state.Port
}

// join is a network to connect to, with the endpoint options.
type join struct {
	network string
	endpointOptions
}

// Check returns an error if the options are wrong in themselves.
func (o Connection) Check() error {
	_, err := o.parse()
	return err
}

// plan parses the options. exposed are the ports that the image exposes ("80/tcp,53/udp").
func (o Options) plan(exposed string) (plan, error) {
	p, err := o.parse()
	if err == nil && o.PublishAll {
		err = p.expose(exposed)
	}
	return p, err
}

func (o Connection) parse() (plan, error) {
	var p plan
	var err error
	if p.mode, p.joins, err = parseNetworks(o.Network); err != nil {
		return p, err
	}
	if err := p.setFirst(o); err != nil {
		return p, err
	}
	for _, v := range o.Publish {
		list, err := hostport.Parse(v)
		if err != nil {
			return p, err
		}
		p.ports = append(p.ports, list...)
	}
	if len(p.ports) > 0 && p.mode != state.ModeBridge {
		first := p.ports[0]
		return p, fmt.Errorf("publish %d/%s: a container with --network %s has no ports of its own", first.ContainerPort, first.Protocol, p.mode)
	}
	return p, nil
}

// setFirst sets the endpoint options of the first network.
func (p *plan) setFirst(o Connection) error {
	if len(o.IP) == 0 && len(o.Alias) == 0 && o.MAC == "" {
		return nil
	}
	if p.mode != state.ModeBridge {
		return fmt.Errorf("network %s: a container with it has no address or alias of its own", p.mode)
	}
	first := &p.joins[0]
	err := first.set(ConnectOptions{IP: o.IP, Alias: o.Alias})
	if err == nil && o.MAC != "" {
		err = first.setMAC(o.MAC)
	}
	if err != nil {
		return fmt.Errorf("network %s: %w", first.network, err)
	}
	return nil
}

// expose adds the exposed ports that are not published yet, on free host ports.
func (p *plan) expose(exposed string) error {
	if p.mode != state.ModeBridge {
		return fmt.Errorf("publish all ports: a container with --network %s has no ports of its own", p.mode)
	}
	if exposed == "" {
		return nil
	}
	for word := range strings.SplitSeq(exposed, ",") {
		ports, err := hostport.Parse(word)
		if err != nil {
			return fmt.Errorf("the image exposes %.80q: %w", word, err)
		}
		for _, port := range ports {
			if port.HostPort != 0 || port.HostIP.IsValid() {
				return fmt.Errorf("the image exposes %.80q: want a port of the container", word)
			}
			if !slices.ContainsFunc(p.ports, func(o state.Port) bool {
				return o.ContainerPort == port.ContainerPort && o.Protocol == port.Protocol
			}) {
				p.ports = append(p.ports, port)
			}
		}
	}
	return nil
}

// parseNetworks returns the mode of the values of --network and, in bridge mode, the networks.
func parseNetworks(values []string) (mode string, joins []join, err error) {
	if len(values) == 0 {
		return state.ModeBridge, []join{{network: Default}}, nil
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
	return state.ModeBridge, joins, nil
}

// parseJoin parses NAME[,ip=ADDRESS][,alias=NAME][,mac=ADDRESS]. alias can be repeated, and ip once for each family. Docker
// writes name=NAME, ip6 and mac-address.
func parseJoin(v string) (join, error) {
	words := strings.Split(v, ",")
	j := join{network: strings.TrimPrefix(words[0], "name=")}
	if err := checkName(j.network); err != nil {
		return j, err
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "ip", "ip6":
			err = j.setAddress(value)
		case "alias":
			err = j.addAlias(value)
		case "mac", "mac-address":
			err = j.setMAC(value)
		default:
			err = fmt.Errorf("%.80q: want ip=ADDRESS, alias=NAME or mac=ADDRESS", word)
		}
		if err != nil {
			return j, fmt.Errorf("network %s: %w", j.network, err)
		}
	}
	return j, nil
}

// isMode reports whether a value of --network is a mode and not the name of a network.
func isMode(v string) bool {
	return v == state.ModeNone || v == state.ModeHost || strings.HasPrefix(v, state.ModeContainer) || strings.HasPrefix(v, state.ModePath)
}

// endpointOptions are the endpoint options; zero values are chosen by the network.
type endpointOptions struct {
	address  netip.Addr
	address6 netip.Addr
	mac      net.HardwareAddr // of the container's end
	link     string           // name of the container's end
	aliases  []string
}

// ConnectOptions are the endpoint options of the connect command.
type ConnectOptions struct {
	IP    []string `name:"ip" docker:"ip6" sep:"none" placeholder:"ADDRESS" help:"The address: IPv4, IPv6, or one of each (default: the lowest free one)"`
	Alias []string `sep:"none" placeholder:"NAME" help:"Another name of the container in the network"`
}

func (e *endpointOptions) set(o ConnectOptions) error {
	for _, word := range o.IP {
		if err := e.setAddress(word); err != nil {
			return err
		}
	}
	for _, word := range o.Alias {
		if err := e.addAlias(word); err != nil {
			return err
		}
	}
	return nil
}

func (e *endpointOptions) setAddress(word string) error {
	addr, err := netip.ParseAddr(word)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		return fmt.Errorf("address %.80q: want an IPv4 or IPv6 address, such as 10.10.1.5", word)
	}
	where := &e.address
	if addr.Is6() {
		where = &e.address6
	}
	if where.IsValid() {
		return fmt.Errorf("address %s: %s is given already", addr, where)
	}
	*where = addr
	return nil
}

// addAlias adds a name that is valid in a hosts file (hosts(5)).
func (e *endpointOptions) addAlias(word string) error {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r)
	}
	odd := func(r rune) bool { return !plain(r) }
	if word == "" || len(word) > 253 || strings.ContainsFunc(word, odd) || strings.ContainsRune("-.", rune(word[0])) {
		return fmt.Errorf("alias %.80q: want letters, digits, dots and dashes", word)
	}
	if !slices.Contains(e.aliases, word) {
		e.aliases = append(e.aliases, word)
	}
	return nil
}

// setMAC sets a unicast hardware address.
func (e *endpointOptions) setMAC(word string) error {
	mac, err := net.ParseMAC(word)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 || bytes.Equal(mac, make([]byte, 6)) {
		return fmt.Errorf("mac %.80q: want the hardware address of one host", word)
	}
	if e.mac != nil {
		return fmt.Errorf("mac %s: %s is given already", mac, e.mac)
	}
	e.mac = mac
	return nil
}
