package link

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

// Connection tracking applies the NAT rules to the first packet of a flow only; later packets of the flow follow its
// entry. A client that keeps sending while a port is published or withdrawn would reach the old destination, so the
// entries are deleted.

// ForgetUnpublished deletes the flows that bypass ports which have just been published. Only connectionless protocols need
// it: a TCP client opens a new flow.
func ForgetUnpublished(n state.Net) error {
	var wanted []flow
	for _, p := range n.Ports {
		if p.Protocol == "tcp" {
			continue
		}
		for _, f := range state.Families() {
			if n.Outlet(f) >= 0 && (!p.HostIP.IsValid() || f.Has(p.HostIP)) {
				wanted = append(wanted, flow{family: f, protocol: protocolNumber(p.Protocol), port: p.HostPort})
			}
		}
	}
	return forget(wanted)
}

// ForgetPublished deletes the flows to a container whose ports have been withdrawn.
func ForgetPublished(n state.Net) error {
	var wanted []flow
	for _, f := range state.Families() {
		if i := n.Outlet(f); i >= 0 {
			wanted = append(wanted, flow{family: f, server: n.Endpoints[i].AddressOf(f).Addr()})
		}
	}
	return forget(wanted)
}

// ForgetAddresses deletes all flows from and to addresses whose links are gone, so that no late packet reaches the next
// container with the address. A kernel without ctnetlink lets them time out.
func ForgetAddresses(addrs ...netip.Addr) error {
	var wanted []flow
	for _, addr := range addrs {
		f := state.FamilyOf(addr)
		wanted = append(wanted, flow{family: f, server: addr}, flow{family: f, client: addr})
	}
	err := forget(wanted)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPROTONOSUPPORT) {
		return nil
	}
	return err
}

// flow selects flows: by the original destination port, by the client's address, or by the address that server.
type flow struct {
	family   state.Family
	protocol uint8
	port     uint16
	client   netip.Addr // zero: any
	server   netip.Addr // zero: any
}

// byAddress reports whether the flow is selected by an address.
func (w flow) byAddress() bool { return w.client.IsValid() || w.server.IsValid() }

// forget deletes flows from the kernel's table (conntrack -D).
func forget(wanted []flow) error {
	data, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if len(wanted) == 0 || errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(data)) == "0" {
		return nil
	}
	socket, err := nl.Subscribe(syscall.NETLINK_NETFILTER) // no group: one socket for all requests
	if err != nil {
		return fmt.Errorf("delete flows: %w", err)
	}
	defer socket.Close()
	sockets := map[int]*nl.SocketHandle{syscall.NETLINK_NETFILTER: {Socket: socket}}
	var rest []flow
	for _, w := range wanted {
		// Kernels before 6.8 cannot filter. Later ones invert the match of an IPv6 address
		// (ctnetlink_filter_match_tuple in 6.18).
		if w.family == state.IPv6 && w.byAddress() || w.delete(sockets) != nil {
			rest = append(rest, w)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return forgetByList(rest)
}

// The attributes of a delete request with a filter (linux/netfilter/nfnetlink_conntrack.h) that the netlink package does
// not define.
const (
	ctFilter           = 25 // CTA_FILTER
	ctFilterOrigFlags  = 1
	ctFilterReplyFlags = 2

	filterSource   = 1 << 0 // CTA_FILTER_F_CTA_IP_SRC
	filterProtocol = 1 << 3 // CTA_FILTER_F_CTA_PROTO_NUM
	filterToPort   = 1 << 5 // CTA_FILTER_F_CTA_PROTO_DST_PORT
)

// delete deletes the flow with a filter in the kernel, which takes a fraction of the time of a dump.
func (w flow) delete(sockets map[int]*nl.SocketHandle) error {
	number := uint8(syscall.AF_INET)
	if w.family == state.IPv6 {
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
	case w.server.IsValid():
		tuple = nested(nl.CTA_TUPLE_REPLY)
		from(w.server)
		flags(0, filterSource)
	case w.client.IsValid():
		tuple = nested(nl.CTA_TUPLE_ORIG)
		from(w.client)
		flags(filterSource, 0)
	default:
		tuple = nested(nl.CTA_TUPLE_ORIG)
		proto := tuple.AddRtAttr(nl.CTA_TUPLE_PROTO|int(nl.NLA_F_NESTED), nil)
		proto.AddRtAttr(nl.CTA_PROTO_NUM, []byte{w.protocol})
		proto.AddRtAttr(nl.CTA_PROTO_DST_PORT, binary.BigEndian.AppendUint16(nil, w.port))
		flags(filterProtocol|filterToPort, 0)
	}
	req.AddData(tuple)
	req.AddData(filter)
	_, err := req.Execute(syscall.NETLINK_NETFILTER, 0)
	return err
}

// forgetByList dumps the table and deletes the flows that match.
func forgetByList(wanted []flow) error {
	for f, number := range map[state.Family]netlink.InetFamily{state.IPv4: syscall.AF_INET, state.IPv6: syscall.AF_INET6} {
		if !slices.ContainsFunc(wanted, func(w flow) bool { return w.family == f }) {
			continue
		}
		_, err := Dump(func() (uint, error) {
			return netlink.ConntrackDeleteFilters(netlink.ConntrackTable, number, flowMatch(wanted))
		})
		if err != nil && !errors.Is(err, syscall.ENOENT) { // ENOENT: a flow has just ended
			return fmt.Errorf("delete flows: %w", err)
		}
	}
	return nil
}

// flowMatch implements netlink.CustomConntrackFilter.
type flowMatch []flow

// MatchConntrackFlow reports whether the flow is to be deleted.
func (m flowMatch) MatchConntrackFlow(c *netlink.ConntrackFlow) bool {
	client, _ := netip.AddrFromSlice(c.Forward.SrcIP)
	server, _ := netip.AddrFromSlice(c.Reverse.SrcIP)
	for _, w := range m {
		if w.byAddress() {
			if client.IsValid() && (w.server == server.Unmap() || w.client == client.Unmap()) {
				return true
			}
		} else if w.protocol == c.Forward.Protocol && w.port == c.Forward.DstPort {
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
