package linux

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket options that read a table of legacy iptables, the same for IPv4 and IPv6 (linux/netfilter_ipv4/ip_tables.h,
// linux/netfilter_ipv6/ip6_tables.h).
const (
	getTableInfo    = 64 // IPT_SO_GET_INFO
	getTableEntries = 65 // IPT_SO_GET_ENTRIES

	tableName   = 32                // XT_TABLE_MAXNAMELEN
	infoSize    = tableName + 13*4  // struct ipt_getinfo; its last word is the size of the entries
	entriesHead = tableName + 4 + 4 /*pad*/ // struct ipt_get_entries without them
)

// hookNames are the built-in chains in the order of the kernel's hooks (NF_INET_PRE_ROUTING and on).
var hookNames = []string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}

// LegacyRule is a rule of legacy iptables.
type LegacyRule struct {
	Chain string
	Jump  string // the user-defined chain that it jumps to, or ""
	Bare  bool   // it matches every packet
	Raw   []byte // as in the kernel, which stores comments as plain text
}

// LegacyTable returns the rules of a legacy iptables table in order, including the policies at the ends of chains.
func LegacyTable(v6 bool, table string) ([]LegacyRule, error) {
	info, entries, err := legacyEntries(v6, table)
	if err != nil {
		return nil, err
	}
	return parseLegacy(v6, info, entries)
}

// parseLegacy parses the entries of a table. struct ipt_entry and ip6t_entry differ in the size of the addresses they
// begin with.
func parseLegacy(v6 bool, info, entries []byte) ([]LegacyRule, error) {
	addresses, head := 84, 112 // sizeof(struct ipt_ip), sizeof(struct ipt_entry)
	if v6 {
		addresses, head = 136, 168
	}
	const targetHead, standardSize, errorName = 32, 40, "ERROR" // struct xt_entry_target, xt_standard_target
	u32 := func(b []byte) int { return int(binary.NativeEndian.Uint32(b)) }
	word := func(b []byte) string { s, _, _ := strings.Cut(string(b), "\x00"); return s }

	valid := u32(info[tableName:])
	starts := make(map[int]string) // chains by the offset of their first entry
	for i, name := range hookNames {
		if valid&(1<<i) != 0 {
			starts[u32(info[tableName+4+4*i:])] = name
		}
	}
	type entry struct {
		at, verdict int
		rule        LegacyRule
	}
	var list []entry
	chain := ""
	for at := 0; at+head <= len(entries); {
		e := entries[at:]
		target := int(binary.NativeEndian.Uint16(e[addresses+4:]))
		next := int(binary.NativeEndian.Uint16(e[addresses+6:]))
		if target < head || next < target+targetHead || next > len(e) {
			return nil, fmt.Errorf("parse entry at %d of %d: invalid sizes", at, len(entries))
		}
		if name, ok := starts[at]; ok {
			chain = name
		}
		body, name := e[target:next], word(e[target+2:target+targetHead-1])
		switch {
		case name == errorName: // starts a user-defined chain; the last entry has this name too
			chain = word(body[targetHead:])
			starts[at+next] = chain
		default:
			found := entry{at: at, verdict: -1, rule: LegacyRule{Chain: chain, Raw: e[:next]}}
			found.rule.Bare = target == head && len(bytes.Trim(e[:addresses], "\x00")) == 0
			if name == "" && len(body) >= standardSize {
				found.verdict = int(int32(binary.NativeEndian.Uint32(body[targetHead:])))
			}
			list = append(list, found)
		}
		at += next
	}
	rules := make([]LegacyRule, len(list))
	for i, e := range list {
		if e.verdict >= 0 {
			e.rule.Jump = starts[e.verdict]
		}
		rules[i] = e.rule
	}
	return rules, nil
}

// legacyEntries returns the header and the entries of a table.
func legacyEntries(v6 bool, table string) (info, entries []byte, err error) {
	domain, level := unix.AF_INET, unix.IPPROTO_IP
	if v6 {
		domain, level = unix.AF_INET6, unix.IPPROTO_IPV6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, nil, fmt.Errorf("open raw socket: %w", err)
	}
	defer unix.Close(fd)
	for {
		info = make([]byte, infoSize)
		copy(info[:tableName-1], table)
		if err := getsockopt(fd, level, getTableInfo, info); err != nil {
			return nil, nil, fmt.Errorf("read size of iptables table %s: %w", table, err)
		}
		size := binary.NativeEndian.Uint32(info[infoSize-4:])
		entries := make([]byte, entriesHead+int(size))
		copy(entries[:tableName-1], table)
		binary.NativeEndian.PutUint32(entries[tableName:], size)
		err := getsockopt(fd, level, getTableEntries, entries)
		if err == unix.EAGAIN { // the size has changed
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read iptables table %s: %w", table, err)
		}
		return info, entries[entriesHead:], nil
	}
}

// getsockopt is getsockopt(2) with a buffer for input and output.
func getsockopt(fd, level, option int, buf []byte) error {
	size := uint32(len(buf))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), 0)
	runtime.KeepAlive(buf)
	if errno != 0 {
		return errno
	}
	return nil
}
