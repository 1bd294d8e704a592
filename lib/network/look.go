package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weikeit/mydocker/lib/linux"
)

// ruleset is what a firewall has in the chains that matter to us, read from the kernel or from the output of
// iptables-save: what of it is missing is told by one function, [ruleset.lacks].
type ruleset map[place][]rule

// place is a chain of a table.
type place struct{ table, chain string }

// rule is what we look at in one rule.
type rule struct {
	jump string // the chain that it jumps to
	bare bool   // it matches every packet
	tag  string // the comment that says whose it is, "" where it is not ours
}

func (r ruleset) add(table, chain string, added rule) {
	r[place{table, chain}] = append(r[place{table, chain}], added)
}

// counts returns how many rules there are by place and tag.
func (r ruleset) counts() map[place]map[string]int {
	found := make(map[place]map[string]int)
	for at, rules := range r {
		for _, rule := range rules {
			if rule.tag != "" {
				count(found, at, rule.tag)
			}
		}
	}
	return found
}

func count(in map[place]map[string]int, at place, tag string) {
	if in[at] == nil {
		in[at] = make(map[string]int)
	}
	in[at][tag]++
}

// lacks returns what is not as it should be of the rules of networks and of published ports, "" where all is. Of
// ports, published is the number of rules by the container's id.
func (r ruleset) lacks(f family, networks []Network, published map[string]int) string {
	if len(networks) == 0 {
		return ""
	}
	found := r.counts()
	_, hooks := f.frame() // there is no jump to a chain that is not there
	for _, h := range hooks {
		if !r.hooked(hooks, h) {
			return fmt.Sprintf("the chain %s of the table %s does not lead to %s where it should", h.words[1], h.table, h.target())
		}
	}
	for _, n := range networks {
		if !hasAll(found, f.networkRules(n), networkTag(n.Link)) {
			return "rules of network " + n.Name + " are missing"
		}
	}
	publish := found[place{"nat", chainPublish}]
	for _, id := range slices.Sorted(maps.Keys(published)) {
		if publish[containerTag(id)] != published[id] {
			return "rules of the ports of container " + id + " are missing"
		}
	}
	return ""
}

// hasAll reports whether each chain has as many rules with the tag as are wanted.
func hasAll(found map[place]map[string]int, rules []change, tag string) bool {
	wanted := make(map[place]map[string]int)
	for _, c := range rules {
		count(wanted, place{c.table, c.words[1]}, tag)
	}
	for at, tags := range wanted {
		if found[at][tag] != tags[tag] {
			return false
		}
	}
	return true
}

// hooked reports whether a hook is there, and where it is one of those that stand first, whether it does: a rule of
// another program before it that accepts a packet would keep it from us.
func (r ruleset) hooked(hooks []change, h change) bool {
	rules := r[place{h.table, h.words[1]}]
	at := slices.IndexFunc(rules, func(rule rule) bool { return rule.jump == h.target() && rule.tag == "" })
	if h.words[0] != "-I" {
		return at >= 0
	}
	// Each is put on top of those before it.
	want := 0
	for _, other := range hooks[slices.IndexFunc(hooks, h.same)+1:] {
		if other.words[0] == "-I" && other.table == h.table && other.words[1] == h.words[1] {
			want++
		}
	}
	return at == want && rules[at].bare
}

// kernelRules reads rules from the kernel, without a process.
type kernelRules interface {
	// rules returns the chains that matter to us.
	rules(family) (ruleset, error)
	// version returns a word that is another one when any rule of the host is, "" where the kernel does not tell.
	version() string
	Close()
}

// open opens the firewall for reading.
func (v variant) open() (kernelRules, error) {
	if v == variantLegacy {
		return legacyKernel{}, nil
	}
	socket, err := nl.Subscribe(syscall.NETLINK_NETFILTER) // to nothing: one socket for all questions
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return nftKernel{syscall.NETLINK_NETFILTER: {Socket: socket}}, nil
}

type nftKernel map[int]*nl.SocketHandle

func (k nftKernel) Close() { k[syscall.NETLINK_NETFILTER].Close() }

func (k nftKernel) ask(kind, flags int, f family, data ...nl.NetlinkRequestData) ([][]byte, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags)
	req.Sockets = k
	number := uint8(unix.NFPROTO_IPV4)
	if f == ipv6 {
		number = unix.NFPROTO_IPV6
	}
	req.AddData(&nl.Nfgenmsg{NfgenFamily: number})
	for _, d := range data {
		req.AddData(d)
	}
	return req.Execute(syscall.NETLINK_NETFILTER, 0)
}

// version is the number of changes of this namespace's rules, and the namespace: its number begins anew in each.
func (k nftKernel) version() string {
	messages, err := k.ask(unix.NFT_MSG_GETGEN, 0, ipv4)
	if err != nil || len(messages) != 1 {
		return ""
	}
	id := nested(messages[0][nl.SizeofNfgenmsg:], unix.NFTA_GEN_ID)
	namespace, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil || len(id) != 4 {
		return ""
	}
	return fmt.Sprintf("%d in %s", binary.BigEndian.Uint32(id), namespace)
}

// rules asks for whole tables where others have little, and else for the chains.
func (k nftKernel) rules(f family) (ruleset, error) {
	var asked []place
	chains, hooks := f.frame()
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

// chain adds the rules of a chain, or of all those of a table, in their order.
func (k nftKernel) chain(f family, at place, found ruleset) error {
	about := []nl.NetlinkRequestData{nl.NewRtAttr(unix.NFTA_RULE_TABLE, nl.ZeroTerminated(at.table))}
	if at.chain != "" {
		about = append(about, nl.NewRtAttr(unix.NFTA_RULE_CHAIN, nl.ZeroTerminated(at.chain)))
	}
	messages, err := k.ask(unix.NFT_MSG_GETRULE, syscall.NLM_F_DUMP, f, about...)
	for tries := 0; errors.Is(err, nl.ErrDumpInterrupted) && tries < 10; tries++ { // a rule came or went just then
		messages, err = k.ask(unix.NFT_MSG_GETRULE, syscall.NLM_F_DUMP, f, about...)
	}
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

// parseNFT takes a rule of nftables apart: a list of expressions, of which the last may be a jump. One that counts
// packets matches them all.
func parseNFT(message []byte) (chain string, r rule, err error) {
	attrs, err := nl.ParseRouteAttr(message[nl.SizeofNfgenmsg:])
	if err != nil {
		return "", r, err
	}
	r.tag, r.bare = tagIn(message), true
	for _, a := range attrs {
		switch a.Attr.Type & nl.NLA_TYPE_MASK {
		case unix.NFTA_RULE_CHAIN:
			chain = word(a.Value)
		case unix.NFTA_RULE_EXPRESSIONS:
			expressions, err := nl.ParseRouteAttr(a.Value)
			if err != nil {
				return "", r, err
			}
			for _, e := range expressions {
				switch name := word(nested(e.Value, unix.NFTA_EXPR_NAME)); name {
				case "counter":
				case "immediate":
					verdict := nested(e.Value, unix.NFTA_EXPR_DATA, unix.NFTA_IMMEDIATE_DATA, unix.NFTA_DATA_VERDICT)
					r.jump = word(nested(verdict, unix.NFTA_VERDICT_CHAIN))
				default:
					r.bare = false
				}
			}
		}
	}
	return chain, r, nil
}

// nested returns the value of an attribute within attributes, nil where there is none.
func nested(attrs []byte, path ...uint16) []byte {
	for _, kind := range path {
		list, err := nl.ParseRouteAttr(attrs)
		i := slices.IndexFunc(list, func(a syscall.NetlinkRouteAttr) bool { return a.Attr.Type&nl.NLA_TYPE_MASK == kind })
		if err != nil || i < 0 {
			return nil
		}
		attrs = list[i].Value
	}
	return attrs
}

// word returns what stands before the zero.
func word(text []byte) string {
	before, _, _ := bytes.Cut(text, []byte{0})
	return string(before)
}

// tagIn returns the comment of ours in a rule as the kernel stores it.
func tagIn(raw []byte) string {
	if i := bytes.Index(raw, []byte(tagPrefix)); i >= 0 {
		return word(raw[i:])
	}
	return ""
}

type legacyKernel struct{}

func (legacyKernel) Close()          {}
func (legacyKernel) version() string { return "" }

// rules reads whole tables: the kernel gives them out in one piece.
func (legacyKernel) rules(f family) (ruleset, error) {
	found := make(ruleset)
	for _, table := range tables {
		rules, err := linux.LegacyTable(f == ipv6, table)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			found.add(table, r.Chain, rule{jump: r.Jump, bare: r.Bare, tag: tagIn(r.Raw)})
		}
	}
	return found, nil
}

// ruleset returns what we look at in the output of iptables-save.
func (s savedRules) ruleset() ruleset {
	found := make(ruleset)
	for table, lines := range s {
		for _, line := range lines {
			words := strings.Fields(line)
			if words[0] != "-A" || len(words) < 4 {
				continue
			}
			r := rule{bare: len(words) == 4}
			if n := len(words); words[n-2] == "-j" {
				r.jump = words[n-1]
			}
			if i := slices.Index(words, "--comment"); i > 0 {
				if tag := strings.Trim(words[i+1], `"`); strings.HasPrefix(tag, tagPrefix) {
					r.tag = tag
				}
			}
			found.add(table, words[1], r)
		}
	}
	return found
}

// published returns how many rules publish the ports of each container.
func (m *Manager) published(f family) (map[string]int, error) {
	entries, err := os.ReadDir(filepath.Dir(m.publishedPath("x")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	found := make(map[string]int)
	for _, e := range entries {
		var four, six int
		target, err := os.Readlink(m.publishedPath(e.Name()))
		if err != nil {
			continue // it went just now, or an older version of us wrote it
		}
		if _, err := fmt.Sscanf(target, publishedForm, &four, &six); err != nil {
			continue
		}
		if f == ipv6 {
			four = six
		}
		found[e.Name()] = four
	}
	return found, err
}
