package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"github.com/weikeit/mydocker/lib/state"
)

// The kernel remembers by which rules the first packet of a flow went, and later ones follow. A client that goes
// on sending while a port comes or goes would reach what was there before.

// flushStale forgets the flows that went past ports which are now published: datagrams alone have no beginning
// by which the kernel would know a new flow.
func flushStale(n state.Net) error {
	var wanted []flow
	for _, p := range n.Ports {
		if p.Protocol == "tcp" {
			continue
		}
		for _, f := range families {
			if outlet(n, f) >= 0 && (!p.HostIP.IsValid() || f.has(p.HostIP)) {
				wanted = append(wanted, flow{family: f, protocol: protocolNumber(p.Protocol), to: p.HostPort})
			}
		}
	}
	return flush(wanted)
}

// flushEnded forgets the flows to a container whose published ports go.
func flushEnded(n state.Net) error {
	var wanted []flow
	for _, f := range families {
		if i := outlet(n, f); i >= 0 {
			wanted = append(wanted, flow{family: f, answersFrom: f.address(n.Endpoints[i]).Addr()})
		}
	}
	return flush(wanted)
}

// flushAddresses forgets all flows of addresses whose links are gone: what still comes for them must not reach the next
// owner of an address, in either direction and of any protocol. A kernel without the interface has to forget by itself.
func flushAddresses(addrs ...netip.Addr) error {
	var wanted []flow
	for _, addr := range addrs {
		f := familyOf(addr)
		wanted = append(wanted, flow{family: f, answersFrom: addr}, flow{family: f, asksFrom: addr})
	}
	err := flush(wanted)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPROTONOSUPPORT) {
		return nil
	}
	return err
}

// flushEndpoints is [flushAddresses] for those of endpoints.
func flushEndpoints(endpoints ...state.Endpoint) error {
	var addrs []netip.Addr
	for _, e := range endpoints {
		for _, addr := range addresses(e) {
			addrs = append(addrs, addr.Addr())
		}
	}
	return flushAddresses(addrs...)
}

// flow says which flows are meant: those with a destination port as they came, or those of an address that began them
// or answers.
type flow struct {
	family      family
	protocol    uint8
	to          uint16
	asksFrom    netip.Addr // the zero Addr: any
	answersFrom netip.Addr // the same
}

// byAddress reports whether the flow is chosen by an address.
func (w flow) byAddress() bool { return w.asksFrom.IsValid() || w.answersFrom.IsValid() }

// flush deletes flows from the kernel's table (conntrack -D).
func flush(wanted []flow) error {
	data, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if len(wanted) == 0 || errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(data)) == "0" {
		return nil
	}
	socket, err := nl.Subscribe(syscall.NETLINK_NETFILTER) // to nothing: one socket for all
	if err != nil {
		return fmt.Errorf("forget flows: %w", err)
	}
	defer socket.Close()
	sockets := map[int]*nl.SocketHandle{syscall.NETLINK_NETFILTER: {Socket: socket}}
	var rest []flow
	for _, w := range wanted {
		// Kernels before 6.8 do not choose by themselves, and later ones take the wrong ones by an address of
		// IPv6 (ctnetlink_filter_match_tuple in 6.18: all but those).
		if w.family == ipv6 && w.byAddress() || w.delete(sockets) != nil {
			rest = append(rest, w)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return flushByList(rest)
}

// The attributes of a message that deletes by a filter (linux/netfilter/nfnetlink_conntrack.h), as far as the
// netlink package has no names for them.
const (
	ctFilter           = 25 // CTA_FILTER
	ctFilterOrigFlags  = 1
	ctFilterReplyFlags = 2

	filterSource   = 1 << 0 // CTA_FILTER_F_CTA_IP_SRC
	filterProtocol = 1 << 3 // CTA_FILTER_F_CTA_PROTO_NUM
	filterToPort   = 1 << 5 // CTA_FILTER_F_CTA_PROTO_DST_PORT
)

// delete lets the kernel choose: it passes over its table without showing it, which takes a fraction of the time.
func (w flow) delete(sockets map[int]*nl.SocketHandle) error {
	number := uint8(syscall.AF_INET)
	if w.family == ipv6 {
		number = syscall.AF_INET6
	}
	req := nl.NewNetlinkRequest(netlink.ConntrackTable<<8|nl.IPCTNL_MSG_CT_DELETE, syscall.NLM_F_ACK)
	req.Sockets = sockets
	req.AddData(&nl.Nfgenmsg{NfgenFamily: number, Version: nl.NFNETLINK_V0})
	nested := func(kind int) *nl.RtAttr { return nl.NewRtAttr(kind|int(nl.NLA_F_NESTED), nil) }
	filter := nested(ctFilter)
	flags := func(orig, reply uint32) {
		filter.AddRtAttr(ctFilterOrigFlags, binary.NativeEndian.AppendUint32(nil, orig))
		filter.AddRtAttr(ctFilterReplyFlags, binary.NativeEndian.AppendUint32(nil, reply))
	}
	var tuple *nl.RtAttr
	from := func(addr netip.Addr) {
		tuple.AddRtAttr(nl.CTA_TUPLE_IP|int(nl.NLA_F_NESTED), nil).AddRtAttr(nl.CTA_IP_V4_SRC, addr.AsSlice())
	}
	switch {
	case w.answersFrom.IsValid():
		tuple = nested(nl.CTA_TUPLE_REPLY)
		from(w.answersFrom)
		flags(0, filterSource)
	case w.asksFrom.IsValid():
		tuple = nested(nl.CTA_TUPLE_ORIG)
		from(w.asksFrom)
		flags(filterSource, 0)
	default:
		tuple = nested(nl.CTA_TUPLE_ORIG)
		proto := tuple.AddRtAttr(nl.CTA_TUPLE_PROTO|int(nl.NLA_F_NESTED), nil)
		proto.AddRtAttr(nl.CTA_PROTO_NUM, []byte{w.protocol})
		proto.AddRtAttr(nl.CTA_PROTO_DST_PORT, binary.BigEndian.AppendUint16(nil, w.to))
		flags(filterProtocol|filterToPort, 0)
	}
	req.AddData(tuple)
	req.AddData(filter)
	_, err := req.Execute(syscall.NETLINK_NETFILTER, 0)
	return err
}

// flushByList reads the whole table, and deletes what matches.
func flushByList(wanted []flow) error {
	for f, number := range map[family]netlink.InetFamily{ipv4: syscall.AF_INET, ipv6: syscall.AF_INET6} {
		if !slices.ContainsFunc(wanted, func(w flow) bool { return w.family == f }) {
			continue
		}
		_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, number, flowMatch(wanted))
		// ENOENT: a flow ended by itself meanwhile. Interrupted: the table changed while it was read.
		if err != nil && !errors.Is(err, syscall.ENOENT) && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return fmt.Errorf("forget flows: %w", err)
		}
	}
	return nil
}

// flowMatch implements netlink.CustomConntrackFilter.
type flowMatch []flow

// MatchConntrackFlow reports whether the flow is to be deleted.
func (m flowMatch) MatchConntrackFlow(c *netlink.ConntrackFlow) bool {
	asks, _ := netip.AddrFromSlice(c.Forward.SrcIP)
	answers, _ := netip.AddrFromSlice(c.Reverse.SrcIP)
	for _, w := range m {
		if w.byAddress() {
			if asks.IsValid() && (w.answersFrom == answers.Unmap() || w.asksFrom == asks.Unmap()) {
				return true
			}
		} else if w.protocol == c.Forward.Protocol && w.to == c.Forward.DstPort {
			return true
		}
	}
	return false
}

func protocolNumber(name string) uint8 {
	switch name {
	case "tcp":
		return syscall.IPPROTO_TCP
	case "udp":
		return syscall.IPPROTO_UDP
	}
	return 132 // IPPROTO_SCTP
}
