package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// cniResult is what ADD answers (CNI specification, section 5), and what plugins before us answered: by
// key, so that nothing of theirs is lost.
type cniResult map[string]json.RawMessage

type cniInterface struct {
	Name    string `json:"name"`
	MAC     string `json:"mac,omitempty"`
	MTU     int    `json:"mtu,omitempty"` // since 1.1.0
	Sandbox string `json:"sandbox,omitempty"`
}

type cniIP struct {
	Version   string       `json:"version,omitempty"` // "4" or "6", before 1.0.0
	Interface *int         `json:"interface,omitempty"`
	Address   netip.Prefix `json:"address"`
	Gateway   netip.Addr   `json:"gateway,omitzero"`
}

type cniRoute struct {
	Dst netip.Prefix `json:"dst"`
	GW  netip.Addr   `json:"gw"`
}

// versions is what VERSION answers.
type versions struct {
	CNIVersion string   `json:"cniVersion"`
	Supported  []string `json:"supportedVersions"`
}

// add puts a new endpoint behind what plugins before us have made.
func (r cniResult) add(c call, n Network, e state.Endpoint) error {
	links, routed, err := look(c, n, e)
	if err != nil {
		return err
	}
	before, err := r.extend("interfaces", links...)
	if err != nil {
		return err
	}
	inside := before + len(links) - 1
	for _, addr := range addresses(e) {
		ip := cniIP{Address: addr, Gateway: n.gateway(addr.Addr()), Interface: &inside}
		if !c.conf.speaks("1.0.0") {
			ip.Version = fmt.Sprint(int(familyOf(addr.Addr())))
		}
		if _, err := r.extend("ips", ip); err != nil {
			return err
		}
		if !routed[familyOf(addr.Addr())] {
			continue
		}
		everywhere := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if addr.Addr().Is6() {
			everywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if _, err := r.extend("routes", cniRoute{everywhere, ip.Gateway}); err != nil {
			return err
		}
	}
	if len(c.conf.DNS) > 0 {
		r["dns"] = c.conf.DNS
	}
	return nil
}

// extend adds values to the list that a key holds, and returns how many were there.
func (r cniResult) extend(key string, values ...any) (before int, err error) {
	var list []json.RawMessage
	if len(r[key]) > 0 {
		if err := json.Unmarshal(r[key], &list); err != nil {
			return 0, &cniError{codeDecode, fmt.Errorf("read prevResult: %s: %w", key, err)}
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

// look returns the links of an endpoint, the container's last, and of which families the default route goes by it.
func look(c call, n Network, e state.Endpoint) (links []any, routed map[family]bool, err error) {
	describe := func(name, sandbox string) error {
		link, err := mustFindLink(name)
		if err != nil {
			return err
		}
		i := cniInterface{Name: name, MAC: link.Attrs().HardwareAddr.String(), Sandbox: sandbox}
		if c.conf.speaks("1.1.0") {
			i.MTU = link.Attrs().MTU
		}
		links = append(links, i)
		return nil
	}
	if err = describe(n.Link, ""); err == nil {
		err = describe(e.HostLink, "")
	}
	if err != nil {
		return nil, nil, err
	}
	err = linux.InNetNS(c.netns, func() error {
		if err := describe(e.Link, c.netns); err != nil {
			return err
		}
		routed, err = defaultRoutes(e.Link)
		return err
	})
	return links, routed, err
}

// expect returns an error where the endpoint is not the one of the result.
func (r cniResult) expect(c call, e state.Endpoint) error {
	var links []cniInterface
	var ips []cniIP
	for key, list := range map[string]any{"interfaces": &links, "ips": &ips} {
		if len(r[key]) == 0 {
			return &cniError{codeBadConfig, fmt.Errorf("prevResult has no %s", key)}
		}
		if err := json.Unmarshal(r[key], list); err != nil {
			return &cniError{codeDecode, fmt.Errorf("read prevResult: %s: %w", key, err)}
		}
	}
	for _, addr := range addresses(e) {
		if !slices.ContainsFunc(ips, func(ip cniIP) bool {
			i := ip.Interface
			return ip.Address == addr && i != nil && *i >= 0 && *i < len(links) && links[*i].Name == e.Link && links[*i].Sandbox != ""
		}) {
			return fmt.Errorf("prevResult does not have the address %s on %s", addr, e.Link)
		}
	}
	return nil
}

// defaultRoutes tells of which families the default route of the calling thread's namespace goes by a link.
func defaultRoutes(name string) (map[family]bool, error) {
	link, err := mustFindLink(name)
	if err != nil {
		return nil, err
	}
	found := make(map[family]bool)
	for f, number := range map[family]int{ipv4: netlink.FAMILY_V4, ipv6: netlink.FAMILY_V6} {
		routes, err := netlink.RouteList(link, number)
		if err != nil {
			return nil, err
		}
		found[f] = slices.ContainsFunc(routes, func(r netlink.Route) bool { return prefixLength(r.Dst) == 0 && r.Gw != nil })
	}
	return found, nil
}

func writeJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "    ")
	if err == nil {
		_, err = w.Write(append(data, '\n'))
	}
	return err
}

// The well-known codes of errors (CNI specification, section 5 "Error"). From 100 on they are our own.
const (
	codeVersion            = 1
	codeUnsupportedField   = 2
	codeUnknownContainer   = 3
	codeBadEnvironment     = 4
	codeIO                 = 5
	codeDecode             = 6
	codeBadConfig          = 7
	codeUnavailable        = 50
	codeUnavailableLimited = 51
	codeFailed             = 100
)

// cniError is an error with its code.
type cniError struct {
	code int
	err  error
}

func (e *cniError) Error() string { return e.err.Error() }
func (e *cniError) Unwrap() error { return e.err }

// CNIError writes an error in the form that the runtimes of the CNI read, and returns the exit code.
func CNIError(w io.Writer, version string, err error) (code int) {
	reply := struct {
		CNIVersion string `json:"cniVersion,omitempty"`
		Code       int    `json:"code"`
		Msg        string `json:"msg"`
		Details    string `json:"details,omitempty"`
	}{version, codeFailed, strings.ReplaceAll(err.Error(), "\n", "; "), ""}
	var known *cniError
	if errors.As(err, &known) {
		reply.Code = known.code
	}
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		reply.Details = hint.Hint()
	}
	_ = writeJSON(w, reply) // the exit code says it, too
	return 1
}
