package network

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Containers find each other by their hosts files: no server has to run. Who comes into a network is added to
// the files of those that are in it, and taken from them when it goes. Who is in a network stands in
// names/NETWORK in the runtime directory, a line each: id, addresses, names.
//
// The files are bound over the containers' /etc/hosts, and containers may write to them, too. So our lines end
// with a mark, and all others stay; and a file is changed in place, as another one would not show inside.

// hostsFile is the name of the file in the bundle, which lib/rootfs makes. Where the user has put one of his
// own in its place there is none.
const hostsFile = "hosts"

// maxHosts bounds the files in bytes: what is longer is left alone.
const maxHosts = 1 << 20

const mark = "\t# mydocker:"

// member is who is in a network under which names. One without addresses listens only: it shares the
// namespace of another.
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

// namesOf returns by which names others find the container.
func namesOf(s *spec.Spec) []string { return slices.Compact([]string{s.Name(), s.ID()}) }

func (m *Manager) lockNames() (unlock func(), err error) { return m.dir.LockShared(state.HostsLock) }

// addNames tells container id the names of its networks and itself, and those in them its own.
func (m *Manager) addNames(id string, n state.Net) error {
	unlock, err := m.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	lines, err := m.ownLines(id, n)
	if err != nil {
		return err
	}
	for _, e := range n.Endpoints {
		more, err := m.enter(e.Network, memberOf(id, n, e), n.Hostname, n.Unnamed)
		if err != nil {
			return err
		}
		lines = append(lines, more...)
	}
	return m.changeHosts(id, func(old []string) []string {
		old = dropMarked(old, mark)
		return slices.Concat(old, gatewayNames(old, m.gatewayOf(n)), lines)
	})
}

// ownLines returns what a container that is in no network of its own has in its file.
func (m *Manager) ownLines(id string, n state.Net) ([]string, error) {
	if other, ok := strings.CutPrefix(n.Mode, modeContainer); ok {
		return m.follow(id, other)
	}
	var lines []string
	switch n.Mode {
	case modeHost:
		lines = hostNames()
		fallthrough
	case modeNone:
		own := member{id, []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, withHostname(n.Hostname, n.Names)}
		lines = append(lines, own.lines("")...)
	}
	return lines, nil
}

// follow makes container id listen to the networks of another one, whose namespace it shares.
func (m *Manager) follow(id, other string) ([]string, error) {
	n, err := m.dir.ReadNet(other)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, e := range n.Endpoints {
		more, err := m.enter(e.Network, member{id: id}, "", true)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

// enter adds a member to a network, tells the others unless it only listens, and returns the lines that it has to
// know itself. By its hostname only it finds itself.
func (m *Manager) enter(network string, c member, hostname string, listens bool) ([]string, error) {
	members, err := m.members(network)
	if err != nil {
		return nil, err
	}
	own := c
	own.names = withHostname(hostname, c.names)
	lines := own.lines(network)
	if listens {
		c = member{id: c.id}
	}
	members = slices.DeleteFunc(members, func(other member) bool { return other.id == c.id })
	// First, so that what is told is taken back even after a SIGKILL.
	if err := m.writeMembers(network, append(members, c)); err != nil {
		return nil, err
	}
	news := c.lines(network)
	state.Parallel(len(members), func(i int) { m.addLines(members[i].id, news) })
	for _, other := range members {
		lines = append(lines, other.lines(network)...)
	}
	return lines, nil
}

// removeNames takes container id out of the files of all others, and all names out of its own.
func (m *Manager) removeNames(id string, n state.Net) error {
	networks := make([]string, 0, len(n.Endpoints))
	for _, e := range n.Endpoints {
		networks = append(networks, e.Network)
	}
	if other, ok := strings.CutPrefix(n.Mode, modeContainer); ok {
		if shared, err := m.dir.ReadNet(other); err == nil {
			for _, e := range shared.Endpoints {
				networks = append(networks, e.Network)
			}
		}
	}
	unlock, err := m.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	var errs []error
	for _, network := range networks {
		errs = append(errs, m.leave(network, id))
	}
	return errors.Join(errs...)
}

// leaveNames is leave under the lock.
func (m *Manager) leaveNames(id, network string) error {
	unlock, err := m.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	return m.leave(network, id)
}

// leave takes a member out of one network. It is idempotent.
func (m *Manager) leave(network, id string) error {
	members, err := m.members(network)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(members, func(c member) bool { return c.id == id })
	if i < 0 {
		_ = os.Remove(m.tempMembers()) // of one that was killed
		_ = os.Remove(m.namesDir())    // it stays while there are others
		return nil
	}
	gone := members[i]
	members = slices.Delete(members, i, i+1)
	if len(gone.addresses) > 0 {
		state.Parallel(len(members), func(i int) { m.removeLines(members[i].id, mark+network+":"+id) })
	}
	err = m.changeHosts(id, func(lines []string) []string { return dropMarked(lines, mark+network+":") })
	return errors.Join(err, m.writeMembers(network, members))
}

// renewNames makes all files anew, of what the containers that run are connected to.
func (m *Manager) renewNames() error {
	ids, err := m.dir.IDs()
	errs := []error{err}
	if err := os.RemoveAll(m.namesDir()); err != nil {
		return err
	}
	for _, id := range ids {
		n, err := m.dir.ReadNet(id)
		if err == nil && ownsNamespace(n.Mode) && m.isUp(id, n) {
			err = m.addNames(id, n)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// memberOf returns what others in the network of an endpoint have to know.
func memberOf(id string, n state.Net, e state.Endpoint) member {
	c := member{id: id, names: append(slices.Clone(n.Names), e.Aliases...)}
	if len(c.names) == 0 { // a namespace without a document
		c.names = append([]string{id}, e.Aliases...)
	}
	for _, addr := range addresses(e) {
		c.addresses = append(c.addresses, addr.Addr())
	}
	return c
}

// withHostname puts the hostname before the other names: the first is the one that an address is turned into.
func withHostname(hostname string, names []string) []string {
	if hostname == "" || slices.Contains(names, hostname) {
		return names
	}
	return append([]string{hostname}, names...)
}

func (m *Manager) namesDir() string { return filepath.Join(m.dir.Run, "names") }
func (m *Manager) tempMembers() string {
	return filepath.Join(m.namesDir(), state.TempPrefix+"members")
}

// members returns who is in a network.
func (m *Manager) members(network string) ([]member, error) {
	data, err := os.ReadFile(filepath.Join(m.namesDir(), network))
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

// writeMembers replaces the list of a network's members. It goes with the last one. Whoever has the lock writes by the
// same temporary name, so that what a SIGKILL leaves there goes with the next change to any network.
func (m *Manager) writeMembers(network string, members []member) error {
	path := filepath.Join(m.namesDir(), network)
	temp := m.tempMembers()
	if len(members) == 0 {
		err := os.Remove(path)
		_ = os.Remove(temp)
		_ = os.Remove(m.namesDir()) // it stays while there are others
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
	if err := os.MkdirAll(m.namesDir(), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(temp, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func (m *Manager) hostsPath(id string) string { return filepath.Join(m.dir.Bundle(id), hostsFile) }

// tell and untell change the file of another container, in as few system calls as can be: beside hundreds of
// them this is what a start and an end take the longest for. What a container did to its file must not keep
// another one from coming or going, so errors count for nothing.

// addLines adds lines.
func (m *Manager) addLines(id string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fd, size := openHosts(m.hostsPath(id), syscall.O_APPEND)
	if fd < 0 {
		return
	}
	defer syscall.Close(fd)
	text := strings.Join(lines, "\n") + "\n"
	last := []byte{'\n'}
	if size > 0 {
		_, _ = syscall.Pread(fd, last, size-1)
	}
	if last[0] != '\n' {
		text = "\n" + text
	}
	_, _ = syscall.Write(fd, []byte(text))
}

// removeLines takes out the lines with this mark, which stand together.
func (m *Manager) removeLines(id, text string) {
	fd, size := openHosts(m.hostsPath(id), 0)
	if fd < 0 {
		return
	}
	defer syscall.Close(fd)
	const tail = 4096 // who came last often goes first
	text += "\n"
	for _, from := range []int64{max(size-tail, 0), 0} {
		buf := make([]byte, size-from)
		if n, err := syscall.Pread(fd, buf, from); err != nil || n < len(buf) {
			return
		}
		hit := bytes.Index(buf, []byte(text))
		first := bytes.LastIndexByte(buf[:max(hit, 0)], '\n') + 1 // of the line
		if hit < 0 || first == 0 && from > 0 {
			continue
		}
		end := first
		for line := range bytes.Lines(buf[first:]) {
			if !bytes.HasSuffix(line, []byte(text)) {
				end += copy(buf[end:], line)
			}
		}
		if end > first {
			_, _ = syscall.Pwrite(fd, buf[first:end], from+int64(first))
		}
		_ = syscall.Ftruncate(fd, from+int64(end))
		return
	}
}

// openHosts opens a file of hosts and returns its size; a negative descriptor where it is none that we change. It does
// not wait: O_NONBLOCK makes the open fail where a process inside holds a lease.
func openHosts(path string, flags int) (fd int, size int64) {
	flags |= syscall.O_RDWR | syscall.O_NOFOLLOW | syscall.O_CLOEXEC | syscall.O_NONBLOCK
	// That we look is no access that anybody asks for, and to note it is a third of the whole.
	fd, err := syscall.Open(path, flags|syscall.O_NOATIME, 0)
	if err == syscall.EPERM { // the file is another user's, and this is not the first user namespace
		fd, err = syscall.Open(path, flags, 0)
	}
	if err != nil {
		return -1, 0
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG || st.Size > maxHosts {
		syscall.Close(fd)
		return -1, 0
	}
	return fd, st.Size
}

// changeHosts changes the lines of a container's file as the function says, in one write. It runs under the lock on
// names, so it never waits for the container: a file on which a process holds a lease (fcntl(2), F_SETLEASE) or that
// cannot be opened for another reason keeps the lines that it has.
func (m *Manager) changeHosts(id string, edit func(lines []string) []string) error {
	fd, _ := openHosts(m.hostsPath(id), 0)
	if fd < 0 {
		return nil
	}
	f := os.NewFile(uintptr(fd), m.hostsPath(id))
	defer f.Close()
	old, err := io.ReadAll(io.LimitReader(f, maxHosts+1))
	if err != nil || len(old) > maxHosts {
		return err
	}
	lines := edit(slices.Collect(strings.SplitSeq(strings.TrimSuffix(string(old), "\n"), "\n")))
	text := []byte(strings.Join(lines, "\n") + "\n")
	if bytes.Equal(text, old) {
		return nil
	}
	if _, err := f.WriteAt(text, 0); err != nil || len(text) >= len(old) {
		return err
	}
	return f.Truncate(int64(len(text)))
}

// dropMarked removes the lines of ours whose mark has the text.
func dropMarked(lines []string, text string) []string {
	return slices.DeleteFunc(lines, func(line string) bool {
		i := strings.LastIndex(line, mark)
		return i >= 0 && strings.Contains(line[i:], text)
	})
}

// gatewayNames returns the lines for those names of --add-host that stand for this host (lib/rootfs marks them).
func gatewayNames(lines []string, gateway netip.Addr) []string {
	var out []string
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, "#host-gateway\t"); ok && gateway.IsValid() {
			out = append(out, gateway.String()+"\t"+name+mark+"gateway:")
		}
	}
	return out
}

// gatewayOf returns the address of this host for a container.
func (m *Manager) gatewayOf(n state.Net) netip.Addr {
	if n.Mode == modeHost {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if len(n.Endpoints) == 0 {
		return netip.Addr{}
	}
	e := n.Endpoints[max(outlet(n, ipv4), 0)]
	network, err := m.load(e.Network)
	if err != nil {
		return netip.Addr{}
	}
	return network.gateway(e.Address.Addr())
}

// hostNames returns the lines of this host's own file, for containers that share its network; those of
// localhost are in theirs already.
func hostNames() []string {
	f, err := os.Open("/etc/hosts")
	if err != nil {
		return nil // it has none
	}
	defer f.Close()
	var lines []string
	for scan := bufio.NewScanner(io.LimitReader(f, maxHosts)); scan.Scan(); {
		text, _, _ := strings.Cut(scan.Text(), "#")
		words := strings.Fields(text)
		if len(words) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(words[0])
		if err != nil || addr.IsMulticast() || slices.Contains(words[1:], "localhost") || slices.Contains(words[1:], "ip6-localhost") {
			continue
		}
		lines = append(lines, words[0]+"\t"+strings.Join(words[1:], " ")+mark+modeHost+":")
	}
	return lines
}
