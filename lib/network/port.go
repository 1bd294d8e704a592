package network

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// ParsePort reads the value of --publish:
//
//	[[hostIP:]hostPort[-end]:]ctrPort[-end][/tcp|udp|sctp]
//
// An IPv6 hostIP stands in brackets. A host port that is left out becomes 0: a free one is chosen when the
// container is connected. Ranges have the same length on both sides; there is one result for each of
// their ports.
func ParsePort(s string) ([]state.Port, error) {
	bad := func(why string) ([]state.Port, error) {
		return nil, fmt.Errorf("publish %.80q: %s: want [[hostIP:]hostPort[-end]:]ctrPort[-end][/tcp|udp|sctp]", s, why)
	}
	ports, protocol, found := strings.Cut(s, "/")
	if !found {
		protocol = "tcp"
	}
	if protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		return bad("unknown protocol")
	}
	ip, host, ctr, err := splitPort(ports)
	if err != nil {
		return bad(err.Error())
	}
	first, last, err := parseRange(ctr)
	if err != nil {
		return bad(err.Error())
	}
	var hostFirst, hostLast uint16
	if host != "" {
		if hostFirst, hostLast, err = parseRange(host); err != nil {
			return bad(err.Error())
		}
		if hostLast-hostFirst != last-first {
			return bad("the ranges differ in length")
		}
	}
	var out []state.Port
	for i := range int(last-first) + 1 {
		p := state.Port{HostIP: ip, ContainerPort: first + uint16(i), Protocol: protocol}
		if host != "" {
			p.HostPort = hostFirst + uint16(i)
		}
		out = append(out, p)
	}
	return out, nil
}

// splitPort splits "ip:host:ctr", of which the first two may be missing.
func splitPort(s string) (ip netip.Addr, host, ctr string, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return ip, "", s, nil
	}
	s, ctr = s[:i], s[i+1:]
	i = strings.LastIndexByte(s, ':')
	if i < 0 {
		return ip, s, ctr, nil
	}
	text, host := s[:i], s[i+1:]
	inner, bracketed := strings.CutPrefix(text, "[")
	if bracketed {
		if inner, bracketed = strings.CutSuffix(inner, "]"); !bracketed {
			return ip, "", "", fmt.Errorf("a bracket is missing")
		}
	}
	ip, err = netip.ParseAddr(inner)
	if err != nil || ip.Zone() != "" || ip.Is6() != bracketed {
		return ip, "", "", fmt.Errorf("bad host address (an IPv6 one stands in [])")
	}
	return ip.Unmap(), host, ctr, nil
}

// parseRange reads "80" or "80-90".
func parseRange(s string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if first, err = parseNumber(from); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return first, first, nil
	}
	if last, err = parseNumber(to); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, fmt.Errorf("the range %s goes down", s)
	}
	return first, last, nil
}

func parseNumber(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%.20q is no port from 1 to 65535", s)
	}
	return uint16(n), nil
}

// portRange is a run of published ports that follow each other on both sides: one rule, one claim.
type portRange struct {
	hostIP      netip.Addr // the zero Addr: every address
	first, last uint16     // on the host
	container   uint16     // the first one's port in the container
	protocol    string
}

// ranges joins ports that follow each other.
func ranges(ports []state.Port) []portRange {
	sorted := slices.SortedFunc(slices.Values(ports), func(a, b state.Port) int {
		return cmp.Or(strings.Compare(a.Protocol, b.Protocol), a.HostIP.Compare(b.HostIP), cmp.Compare(a.HostPort, b.HostPort))
	})
	var out []portRange
	for _, p := range sorted {
		if n := len(out); n > 0 {
			r := &out[n-1]
			size := r.last - r.first + 1
			if r.protocol == p.Protocol && r.hostIP == p.HostIP && r.last < 65535 && p.HostPort == r.last+1 && p.ContainerPort == r.container+size {
				r.last++
				continue
			}
		}
		out = append(out, portRange{p.HostIP, p.HostPort, p.HostPort, p.ContainerPort, p.Protocol})
	}
	return out
}

// overlaps reports whether the two would take a port from each other.
func (r portRange) overlaps(o portRange) bool {
	if r.protocol != o.protocol || r.last < o.first || o.last < r.first {
		return false
	}
	return covers(r.hostIP, o.hostIP) || covers(o.hostIP, r.hostIP)
}

// covers reports whether a port of host address a is also one of b.
func covers(a, b netip.Addr) bool {
	return !a.IsValid() || a == b || a.IsUnspecified() && a.Is4() == b.Is4()
}

// formatPort returns the port as it stands in the document: "127.0.0.1:8036->3306/tcp".
func formatPort(p state.Port) string {
	s := fmt.Sprintf("%d->%d/%s", p.HostPort, p.ContainerPort, p.Protocol)
	if p.HostIP.IsValid() {
		s = host(p.HostIP) + ":" + s
	}
	return s
}
