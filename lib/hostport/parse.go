package hostport

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// Parse reads the value of --publish:
//
//	[[hostIP:]hostPort[-end]:]ctrPort[-end][/tcp|udp|sctp]
//
// An IPv6 hostIP is in brackets. A missing host port becomes 0: a free one is chosen when the container is connected. Both
// ranges have the same length; the result has one entry for each port.
func Parse(s string) ([]state.Port, error) {
	bad := func(reason string) ([]state.Port, error) {
		return nil, fmt.Errorf("publish %.80q: %s: want [[hostIP:]hostPort[-end]:]ctrPort[-end][/tcp|udp|sctp]", s, reason)
	}
	ports, protocol, found := strings.Cut(s, "/")
	if !found {
		protocol = "tcp"
	}
	if protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		return bad("unknown protocol")
	}
	ip, host, ctr, err := split(ports)
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

// split splits "ip:host:ctr"; ip and host may be missing.
func split(s string) (ip netip.Addr, host, ctr string, err error) {
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
			return ip, "", "", errors.New("missing bracket")
		}
	}
	ip, err = netip.ParseAddr(inner)
	if err != nil || ip.Zone() != "" || ip.Is6() != bracketed {
		return ip, "", "", errors.New("bad host address (an IPv6 address goes in [])")
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
		return 0, 0, fmt.Errorf("range %s goes down", s)
	}
	return first, last, nil
}

func parseNumber(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %.20q: want a number from 1 to 65535", s)
	}
	return uint16(n), nil
}
