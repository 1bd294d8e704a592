package network

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/state"
)

// A client that goes on sending reaches the container as soon as the port is published, and nobody as soon as it
// is not. The kernel forgets the flows that it means, be they chosen by the kernel or by us, and no others.
func TestFlowsAreForgotten(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	other := otherHost(t)
	m := newManager(t)
	m.mustCreate(t, Default, CreateOptions{Subnet: []string{"10.20.30.0/24", "fd00:20::/64"}})
	t.Cleanup(func() { m.mustRemove(t, Default) })
	m.attachTo(t, Connection{}) // the rules that let the kernel look at flows

	for name, address := range map[string]string{"v4": "198.51.100.1:8001", "v6": "[2001:db8::1]:8001"} {
		var conn net.Conn
		if err := inside(other, func() (err error) {
			conn, err = net.Dial("udp", address)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		asks := func() string {
			buf := make([]byte, 100)
			for err := error(nil); err == nil; { // answers that came late
				conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
				if _, err = conn.Read(buf); errors.Is(err, syscall.ECONNREFUSED) {
					err = nil
				}
			}
			for range 8 { // the first may be told that nobody was there
				conn.SetDeadline(time.Now().Add(400 * time.Millisecond))
				conn.Write([]byte("?"))
				if n, err := conn.Read(buf); err == nil {
					return string(buf[:n])
				}
			}
			return ""
		}
		if saw := asks(); saw != "" {
			t.Fatalf("%s: somebody answers: %s", name, saw)
		}
		c, err := m.tryAttach(Connection{Publish: []string{"8001:80/udp"}})
		if err != nil {
			t.Fatal(err)
		}
		serve(t, c.path, "udp", ":80")
		if saw := asks(); !strings.Contains(saw, "198.51.100.2") && !strings.Contains(saw, "2001:db8::2") {
			t.Errorf("%s: published, and the old flow goes on past it: %q", name, saw)
		}
		if err := m.Release(t.Context(), c.id); err != nil {
			t.Error(err)
		}
		next := m.attachTo(t, Connection{}) // has the address now
		if next.addr != c.addr {
			t.Fatalf("the next container has %s, not %s", next.addr, c.addr)
		}
		serve(t, next.path, "udp", ":80")
		if saw := asks(); saw != "" {
			t.Errorf("%s: the flow of the old port reaches the next owner of the address, which saw %s", name, saw)
		}
		if err := m.Release(t.Context(), next.id); err != nil {
			t.Error(err)
		}
	}
}

// On an older kernel we choose ourselves: the same flows.
func TestFlowsAreForgottenByList(t *testing.T) {
	requireKernel(t)
	table := func() string {
		data, err := os.ReadFile("/proc/net/nf_conntrack")
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	other := otherHost(t)
	sh(t, "iptables -A INPUT -m conntrack --ctstate NEW")
	t.Cleanup(func() { sh(t, "iptables -D INPUT -m conntrack --ctstate NEW") })
	for port, forget := range map[string]func([]flow) error{"8011": flush, "8012": flushByList} {
		for _, p := range []string{port, "9001"} {
			if err := inside(other, func() error {
				conn, err := net.Dial("udp", "198.51.100.1:"+p)
				if err == nil {
					_, err = conn.Write([]byte("?"))
					conn.Close()
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(table(), "dport="+port) {
			t.Fatalf("no flow to forget in\n%s", table())
		}
		n := state.Net{
			Ports:     []state.Port{{HostPort: map[string]uint16{"8011": 8011, "8012": 8012}[port], ContainerPort: 80, Protocol: "udp"}},
			Endpoints: []state.Endpoint{{Address: netip.MustParsePrefix("10.20.30.2/24")}},
		}
		var wanted []flow
		for _, p := range n.Ports {
			wanted = append(wanted, flow{family: ipv4, protocol: protocolNumber(p.Protocol), to: p.HostPort})
		}
		if err := forget(wanted); err != nil {
			t.Error(err)
		}
		if after := table(); strings.Contains(after, "dport="+port) || !strings.Contains(after, "dport=9001") {
			t.Errorf("port %s: the table is now\n%s", port, after)
		}
	}
}
