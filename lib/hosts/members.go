// Package hosts keeps the names of containers in their hosts files, so that the containers of a network find each other
// without a DNS server. A container that joins a network is added to the hosts files of its members, and removed from them
// when it leaves. The file names/NETWORK in the runtime directory lists the members, one a line: id, addresses, names.
//
// The files are bound over the containers' /etc/hosts, and containers may write to them too. So our lines end with a mark
// and other lines stay. A file is changed in place, because a replaced file would not be seen in the container.
package hosts

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// fileName is the name of the hosts file in the bundle. lib/rootfs makes it, unless the user mounts a file over /etc/hosts.
const fileName = "hosts"

// maxHosts is the size limit of a hosts file in bytes. A larger one is left alone.
const maxHosts = 1 << 20

const mark = "\t# mydocker:"

// Files are the hosts files of the containers of a state directory.
type Files struct{ dir state.Dir }

// In returns the hosts files of a state directory.
func In(dir state.Dir) Files { return Files{dir} }

// member is a container in a network. One without addresses only receives the lines of others: it shares the namespace of
// another container, or is unnamed.
type member struct {
	id        string
	addresses []netip.Addr
	names     []string
}

// lines returns the member's lines for hosts files.
func (c member) lines(network string) []string {
	var lines []string
	for _, addr := range c.addresses {
		lines = append(lines, addr.String()+"\t"+strings.Join(c.names, " ")+mark+network+":"+c.id)
	}
	return lines
}

func (f Files) lock() (unlock func(), err error) { return f.dir.LockShared(state.HostsLock) }

// Add adds container id to the hosts files of its networks, and writes its own file. gateway is the address of the host
// for the container, invalid if it has none.
func (f Files) Add(id string, n state.Net, gateway netip.Addr) error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	lines, err := f.ownLines(id, n)
	if err != nil {
		return err
	}
	for _, e := range n.Endpoints {
		more, err := f.join(e.Network, memberOf(id, n, e), n.Hostname, n.Unnamed)
		if err != nil {
			return err
		}
		lines = append(lines, more...)
	}
	return f.edit(id, func(old []string) []string {
		old = dropMarked(old, mark)
		return slices.Concat(old, gatewayLines(old, gateway), lines)
	})
}

// Rename replaces the lines of container id, whose names have changed, in all hosts files. gateway is as in [Files.Add].
func (f Files) Rename(id string, n state.Net, gateway netip.Addr) error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range n.Endpoints {
		errs = append(errs, f.removeFromOthers(e.Network, id))
	}
	unlock()
	return errors.Join(append(errs, f.Add(id, n, gateway))...)
}

// removeFromOthers removes the lines of container id from the files of the other members of a network.
func (f Files) removeFromOthers(network, id string) error {
	members, err := f.members(network)
	if err != nil {
		return err
	}
	for _, other := range members {
		if other.id != id {
			f.removeLines(other.id, mark+network+":"+id)
		}
	}
	return nil
}

// ownLines returns the lines of a container without endpoints.
func (f Files) ownLines(id string, n state.Net) ([]string, error) {
	if other, ok := strings.CutPrefix(n.Mode, state.ModeContainer); ok {
		return f.follow(id, other)
	}
	var lines []string
	switch n.Mode {
	case state.ModeHost:
		lines = hostLines()
		fallthrough
	case state.ModeNone:
		own := member{id, []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, withHostname(n.Hostname, n.Names)}
		lines = append(lines, own.lines("")...)
	}
	return lines, nil
}

// follow adds container id to the networks of another container, whose namespace it shares.
func (f Files) follow(id, other string) ([]string, error) {
	n, err := f.dir.ReadNet(other)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, e := range n.Endpoints {
		more, err := f.join(e.Network, member{id: id}, "", true)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

// join adds a member to a network and to the files of the other members, and returns the lines for its own file. hostname
// is only in its own file. An unnamed member is not added to other files.
func (f Files) join(network string, c member, hostname string, unnamed bool) ([]string, error) {
	members, err := f.members(network)
	if err != nil {
		return nil, err
	}
	own := c
	own.names = withHostname(hostname, c.names)
	lines := own.lines(network)
	if unnamed {
		c = member{id: c.id}
	}
	members = slices.DeleteFunc(members, func(other member) bool { return other.id == c.id })
	// The list is written first, so that the lines in other files are found after a SIGKILL.
	if err := f.writeMembers(network, append(members, c)); err != nil {
		return nil, err
	}
	added := c.lines(network)
	state.Parallel(len(members), func(i int) { f.addLines(members[i].id, added) })
	for _, other := range members {
		lines = append(lines, other.lines(network)...)
	}
	return lines, nil
}

// Remove removes container id from the files of all others, and our lines of its networks from its own.
func (f Files) Remove(id string, n state.Net) error {
	networks := make([]string, 0, len(n.Endpoints))
	for _, e := range n.Endpoints {
		networks = append(networks, e.Network)
	}
	if other, ok := strings.CutPrefix(n.Mode, state.ModeContainer); ok {
		if shared, err := f.dir.ReadNet(other); err == nil {
			for _, e := range shared.Endpoints {
				networks = append(networks, e.Network)
			}
		}
	}
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	var errs []error
	for _, network := range networks {
		errs = append(errs, f.leave(network, id))
	}
	return errors.Join(errs...)
}

// Leave removes container id from one network. It is idempotent.
func (f Files) Leave(network, id string) error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return f.leave(network, id)
}

// leave is [Files.Leave] under the lock.
func (f Files) leave(network, id string) error {
	members, err := f.members(network)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(members, func(c member) bool { return c.id == id })
	if i < 0 {
		_ = os.Remove(f.tempMembers()) // of a killed writer
		_ = os.Remove(f.membersDir())  // fails while it has files
		return nil
	}
	left := members[i]
	members = slices.Delete(members, i, i+1)
	if len(left.addresses) > 0 {
		state.Parallel(len(members), func(i int) { f.removeLines(members[i].id, mark+network+":"+id) })
	}
	err = f.edit(id, func(lines []string) []string { return dropMarked(lines, mark+network+":") })
	return errors.Join(err, f.writeMembers(network, members))
}

// Clear removes all lists of members, so that the files can be written anew.
func (f Files) Clear() error { return os.RemoveAll(f.membersDir()) }

// memberOf returns the member that an endpoint makes of container id.
func memberOf(id string, n state.Net, e state.Endpoint) member {
	c := member{id: id, names: append(slices.Clone(n.Names), e.Aliases...)}
	if len(c.names) == 0 { // a namespace without a document
		c.names = append([]string{id}, e.Aliases...)
	}
	for _, addr := range e.Addresses() {
		c.addresses = append(c.addresses, addr.Addr())
	}
	return c
}

// withHostname puts the hostname before the other names: reverse lookup returns the first name of a line.
func withHostname(hostname string, names []string) []string {
	if hostname == "" || slices.Contains(names, hostname) {
		return names
	}
	return append([]string{hostname}, names...)
}

func (f Files) path(id string) string { return filepath.Join(f.dir.Bundle(id), fileName) }
func (f Files) membersDir() string    { return filepath.Join(f.dir.Run, "names") }
func (f Files) tempMembers() string {
	return filepath.Join(f.membersDir(), state.TempPrefix+"members")
}

// members lists the members of a network.
func (f Files) members(network string) ([]member, error) {
	data, err := os.ReadFile(filepath.Join(f.membersDir(), network))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []member
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		c := member{id: words[0], names: words[2:]}
		for word := range strings.SplitSeq(words[1], ",") {
			if addr, err := netip.ParseAddr(word); err == nil {
				c.addresses = append(c.addresses, addr)
			}
		}
		list = append(list, c)
	}
	return list, nil
}

// writeMembers replaces a network's list of members. The file of an empty list is removed. All writers hold the lock and
// use the same temporary name, so the next change to any network replaces what a killed writer has left.
func (f Files) writeMembers(network string, members []member) error {
	path := filepath.Join(f.membersDir(), network)
	temp := f.tempMembers()
	if len(members) == 0 {
		err := os.Remove(path)
		_ = os.Remove(temp)
		_ = os.Remove(f.membersDir()) // fails while it has files
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var b strings.Builder
	for _, c := range members {
		words := make([]string, len(c.addresses))
		for i, addr := range c.addresses {
			words[i] = addr.String()
		}
		if len(words) == 0 {
			words = []string{"-"}
		}
		fmt.Fprintln(&b, c.id, strings.Join(words, ","), strings.Join(c.names, " "))
	}
	if err := os.MkdirAll(f.membersDir(), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(temp, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
