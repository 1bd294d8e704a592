package network

import (
	"bytes"
	"errors"
	"syscall"

	"github.com/vishvananda/netlink/nl"

	"github.com/weikeit/mydocker/lib/linux"
)

// The numbers of nftables' netlink messages (linux/netfilter/nf_tables.h).
const (
	nftSubsystem   = 10
	nftGetRule     = 7
	nftRuleTable   = 1
	nftRuleChain   = 2
	protocolFamily = 2  // NFPROTO_IPV4
	protocolFam6   = 10 // NFPROTO_IPV6
)

// has reports whether the firewall of the kernel has what is wanted.
func (v variant) has(f family, wanted []needed) bool {
	look := lookLegacy
	switch v {
	case "":
		return true
	case variantNFT:
		socket, err := nl.Subscribe(syscall.NETLINK_NETFILTER) // to nothing: one socket for all questions
		if err != nil {
			return true
		}
		defer socket.Close()
		sockets := map[int]*nl.SocketHandle{syscall.NETLINK_NETFILTER: {Socket: socket}}
		look = func(f family, w needed) (bool, error) { return lookNFT(sockets, f, w) }
	}
	for _, w := range wanted {
		found, err := look(f, w)
		if err == nil && !found {
			return false
		}
	}
	return true
}

// lookNFT looks for a text in the rules of one chain, as the kernel stores them.
func lookNFT(sockets map[int]*nl.SocketHandle, f family, w needed) (bool, error) {
	req := nl.NewNetlinkRequest(nftSubsystem<<8|nftGetRule, syscall.NLM_F_DUMP)
	req.Sockets = sockets
	fam := uint8(protocolFamily)
	if f == ipv6 {
		fam = protocolFam6
	}
	req.AddData(&nl.Nfgenmsg{NfgenFamily: fam})
	req.AddData(nl.NewRtAttr(nftRuleTable, nl.ZeroTerminated(w.table)))
	req.AddData(nl.NewRtAttr(nftRuleChain, nl.ZeroTerminated(w.chain)))
	rules, err := req.Execute(syscall.NETLINK_NETFILTER, 0)
	if errors.Is(err, syscall.ENOENT) {
		return false, nil // no such table or chain
	}
	if err != nil {
		return false, err
	}
	text := append([]byte(w.text), 0)
	for _, rule := range rules {
		if bytes.Contains(rule, text) {
			return true, nil
		}
	}
	return false, nil
}

// lookLegacy looks for a text in a whole table: jumps to chains have no names there, but chains have.
func lookLegacy(f family, w needed) (bool, error) {
	table, err := linux.LegacyTable(f == ipv6, w.table)
	return bytes.Contains(table, append([]byte(w.text), 0)), err
}
