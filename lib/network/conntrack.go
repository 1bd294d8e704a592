package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/state"
)

// The kernel remembers by which rules the first packet of a flow went, and later ones follow. A client that goes
// on sending while a port comes or goes would reach what was there before.

// flushStale forgets the flows that went past ports which are now published: datagrams alone have no beginning
// by which the kernel would know a new flow.
func flushStale(n state.Net) error {
	if !slices.ContainsFunc(n.Ports, func(p state.Port) bool { return p.Protocol != "tcp" }) {
		return nil
	}
	return flush(func(flow *netlink.ConntrackFlow) bool {
		return slices.ContainsFunc(n.Ports, func(p state.Port) bool {
			if protocolNumber(p.Protocol) != flow.Forward.Protocol || p.HostPort != flow.Forward.DstPort || p.Protocol == "tcp" {
				return false
			}
			return !p.HostIP.IsValid() || p.HostIP.IsUnspecified() || p.HostIP == toAddr(flow.Forward.DstIP)
		})
	})
}

// flushEnded forgets the flows that went to a container's published ports: the next owner of its address must
// not get them.
func flushEnded(n state.Net) error {
	return flush(func(flow *netlink.ConntrackFlow) bool {
		from := toAddr(flow.Reverse.SrcIP)
		if !slices.ContainsFunc(n.Endpoints, func(e state.Endpoint) bool { return e.Address.Addr() == from || e.Address6.Addr() == from }) {
			return false
		}
		return slices.ContainsFunc(n.Ports, func(p state.Port) bool {
			return protocolNumber(p.Protocol) == flow.Forward.Protocol && p.ContainerPort == flow.Reverse.SrcPort
		})
	})
}

// flush deletes the flows that match from the kernel's table (conntrack -D).
func flush(match flowMatch) error {
	data, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(data)) == "0" {
		return nil
	}
	for _, f := range []netlink.InetFamily{syscall.AF_INET, syscall.AF_INET6} {
		_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, f, match)
		// ENOENT: a flow ended by itself meanwhile. Interrupted: the table changed while it was read.
		if err != nil && !errors.Is(err, syscall.ENOENT) && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return fmt.Errorf("forget flows of published ports: %w", err)
		}
	}
	return nil
}

// flowMatch implements netlink.CustomConntrackFilter.
type flowMatch func(*netlink.ConntrackFlow) bool

// MatchConntrackFlow reports whether the flow is to be deleted.
func (f flowMatch) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool { return f(flow) }

func protocolNumber(name string) uint8 {
	switch name {
	case "tcp":
		return syscall.IPPROTO_TCP
	case "udp":
		return syscall.IPPROTO_UDP
	}
	return 132 // IPPROTO_SCTP
}

func toAddr(ip []byte) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
