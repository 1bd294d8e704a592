package firewall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// kernelRules reads rules from the kernel without starting a process.
type kernelRules interface {
	// rules returns the chains that matter to us.
	rules(state.Family) (ruleset, error)
	// version returns a word that changes with every change of the host's rules, "" if the kernel does not report it.
	version() string
	Close()
}

// open opens the firewall for reading.
func (v variant) open() (kernelRules, error) {
	if v == variantLegacy {
		return legacyKernel{}, nil
	}
	socket, err := nl.Subscribe(syscall.NETLINK_NETFILTER) // no group: one socket for all requests
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return nftKernel{syscall.NETLINK_NETFILTER: {Socket: socket}}, nil
}

type nftKernel map[int]*nl.SocketHandle

func (k nftKernel) Close() { k[syscall.NETLINK_NETFILTER].Close() }

func (k nftKernel) ask(kind, flags int, f state.Family, data ...nl.NetlinkRequestData) ([][]byte, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags)
	req.Sockets = k
	number := uint8(unix.NFPROTO_IPV4)
	if f == state.IPv6 {
		number = unix.NFPROTO_IPV6
	}
	req.AddData(&nl.Nfgenmsg{NfgenFamily: number})
	for _, d := range data {
		req.AddData(d)
	}
	return req.Execute(syscall.NETLINK_NETFILTER, 0)
}

// version is the generation of the ruleset and the network namespace, because each namespace counts its own.
func (k nftKernel) version() string {
	messages, err := k.ask(unix.NFT_MSG_GETGEN, 0, state.IPv4)
	if err != nil || len(messages) != 1 {
		return ""
	}
	id := link.Nested(messages[0][nl.SizeofNfgenmsg:], unix.NFTA_GEN_ID)
	namespace, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil || len(id) != 4 {
		return ""
	}
	return fmt.Sprintf("%d in %s", binary.BigEndian.Uint32(id), namespace)
}

// rules reads whole tables where other programs have few rules, and single chains elsewhere.
func (k nftKernel) rules(f state.Family) (ruleset, error) {
	var asked []place
	chains, hooks := frame(f)
	for _, c := range append(chains, hooks...) {
		at := place{c.table, c.words[1]}
		if c.table == "raw" || c.table == "mangle" {
			at.chain = ""
		}
		if at.chain != chainUser && !slices.Contains(asked, at) {
			asked = append(asked, at)
		}
	}
	found := make(ruleset)
	for _, at := range asked {
		if err := k.chain(f, at, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// chain adds the rules of a chain, or of all chains of a table, in order.
func (k nftKernel) chain(f state.Family, at place, found ruleset) error {
	about := []nl.NetlinkRequestData{nl.NewRtAttr(unix.NFTA_RULE_TABLE, nl.ZeroTerminated(at.table))}
	if at.chain != "" {
		about = append(about, nl.NewRtAttr(unix.NFTA_RULE_CHAIN, nl.ZeroTerminated(at.chain)))
	}
	messages, err := link.Dump(func() ([][]byte, error) { return k.ask(unix.NFT_MSG_GETRULE, syscall.NLM_F_DUMP, f, about...) })
	if errors.Is(err, syscall.ENOENT) {
		return nil // no such table or chain
	}
	if err != nil {
		return err
	}
	for _, m := range messages {
		chain, rule, err := parseNFT(m)
		if err != nil {
			return err
		}
		if at.chain == "" || at.chain == chain {
			found.add(at.table, chain, rule)
		}
	}
	return nil
}

// parseNFT parses an nftables rule: a list of expressions, the last of which may be a jump. A rule with only a counter
// matches every packet.
func parseNFT(message []byte) (chain string, r rule, err error) {
	attrs, err := nl.ParseRouteAttr(message[nl.SizeofNfgenmsg:])
	if err != nil {
		return "", r, err
	}
	r.tag, r.bare = tagIn(message), true
	for _, a := range attrs {
		switch a.Attr.Type & nl.NLA_TYPE_MASK {
		case unix.NFTA_RULE_CHAIN:
			chain = link.Word(a.Value)
		case unix.NFTA_RULE_EXPRESSIONS:
			expressions, err := nl.ParseRouteAttr(a.Value)
			if err != nil {
				return "", r, err
			}
			for _, e := range expressions {
				switch name := link.Word(link.Nested(e.Value, unix.NFTA_EXPR_NAME)); name {
				case "counter":
				case "immediate":
					verdict := link.Nested(e.Value, unix.NFTA_EXPR_DATA, unix.NFTA_IMMEDIATE_DATA, unix.NFTA_DATA_VERDICT)
					r.jump = link.Word(link.Nested(verdict, unix.NFTA_VERDICT_CHAIN))
				default:
					r.bare = false
				}
			}
		}
	}
	return chain, r, nil
}

// tagIn returns the tag in a rule as the kernel stores it.
func tagIn(raw []byte) string {
	if i := bytes.Index(raw, []byte(tagPrefix)); i >= 0 {
		return link.Word(raw[i:])
	}
	return ""
}

type legacyKernel struct{}

func (legacyKernel) Close()          {}
func (legacyKernel) version() string { return "" }

// rules reads whole tables: the kernel returns a table in one piece.
func (legacyKernel) rules(f state.Family) (ruleset, error) {
	found := make(ruleset)
	for _, table := range tables() {
		rules, err := linux.LegacyTable(f == state.IPv6, table)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			found.add(table, r.Chain, rule{jump: r.Jump, bare: r.Bare, tag: tagIn(r.Raw)})
		}
	}
	return found, nil
}
