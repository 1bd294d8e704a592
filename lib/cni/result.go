package cni

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"github.com/weikeit/mydocker/lib/state"
)

// Result is the answer to ADD (CNI specification, section 5), and that of earlier plugins: by key, so that unknown keys of
// theirs are kept.
type Result map[string]json.RawMessage

// Interface is a link in a result.
type Interface struct {
	Name    string `json:"name"`
	MAC     string `json:"mac,omitempty"`
	MTU     int    `json:"mtu,omitempty"` // since 1.1.0
	Sandbox string `json:"sandbox,omitempty"`
}

type ipConfig struct {
	Version   string       `json:"version,omitempty"` // "4" or "6", before 1.0.0
	Interface *int         `json:"interface,omitempty"`
	Address   netip.Prefix `json:"address"`
	Gateway   netip.Addr   `json:"gateway,omitzero"`
}

type route struct {
	Dst netip.Prefix `json:"dst"`
	GW  netip.Addr   `json:"gw"`
}

// Added is what ADD has made.
type Added struct {
	Interfaces []Interface // the container's last
	Addresses  []netip.Prefix
	Gateway    func(netip.Addr) netip.Addr // of an address
	Routed     map[state.Family]bool       // families whose default route is over the container's interface
}

// Add appends a new endpoint to what earlier plugins have made.
func (r Result) Add(conf Config, made Added) error {
	var links []any
	for _, i := range made.Interfaces {
		if !conf.speaks("1.1.0") {
			i.MTU = 0
		}
		links = append(links, i)
	}
	before, err := r.extend("interfaces", links...)
	if err != nil {
		return err
	}
	inside := before + len(links) - 1
	for _, addr := range made.Addresses {
		f := state.FamilyOf(addr.Addr())
		ip := ipConfig{Address: addr, Gateway: made.Gateway(addr.Addr()), Interface: &inside}
		if !conf.speaks("1.0.0") {
			ip.Version = fmt.Sprint(int(f))
		}
		if _, err := r.extend("ips", ip); err != nil {
			return err
		}
		if !made.Routed[f] {
			continue
		}
		everywhere := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if f == state.IPv6 {
			everywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if _, err := r.extend("routes", route{everywhere, ip.Gateway}); err != nil {
			return err
		}
	}
	if len(conf.DNS) > 0 {
		r["dns"] = conf.DNS
	}
	return nil
}

// extend appends values to the list under a key, and returns its length before.
func (r Result) extend(key string, values ...any) (before int, err error) {
	var list []json.RawMessage
	if len(r[key]) > 0 {
		if err := json.Unmarshal(r[key], &list); err != nil {
			return 0, &Error{CodeDecode, fmt.Errorf("read prevResult: %s: %w", key, err)}
		}
	}
	before = len(list)
	for _, v := range values {
		data, err := json.Marshal(v)
		if err != nil {
			return before, err
		}
		list = append(list, data)
	}
	r[key], err = json.Marshal(list)
	return before, err
}

// Expect returns an error if the result does not have the endpoint's addresses on its link.
func (r Result) Expect(e state.Endpoint) error {
	var links []Interface
	var ips []ipConfig
	for key, list := range map[string]any{"interfaces": &links, "ips": &ips} {
		if len(r[key]) == 0 {
			return &Error{CodeBadConfig, fmt.Errorf("prevResult has no %s", key)}
		}
		if err := json.Unmarshal(r[key], list); err != nil {
			return &Error{CodeDecode, fmt.Errorf("read prevResult: %s: %w", key, err)}
		}
	}
	for _, addr := range e.Addresses() {
		if !slices.ContainsFunc(ips, func(ip ipConfig) bool {
			i := ip.Interface
			return ip.Address == addr && i != nil && *i >= 0 && *i < len(links) && links[*i].Name == e.Link && links[*i].Sandbox != ""
		}) {
			return fmt.Errorf("prevResult does not have the address %s on %s", addr, e.Link)
		}
	}
	return nil
}
