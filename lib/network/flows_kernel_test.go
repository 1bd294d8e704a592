package network

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A client that keeps sending reaches the container as soon as the port is published, and nothing as soon as it is
// withdrawn.
func TestFlowsAreForgotten(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	other := otherHost(t)
	m := newManager(t)
	m.mustCreate(t, Default, CreateOptions{Subnet: []string{"10.20.30.0/24", "fd00:20::/64"}})
	t.Cleanup(func() { m.mustRemove(t, Default) })
	m.attachTo(t, Connection{}) // its rules make the kernel track connections

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
			for err := error(nil); err == nil; { // late answers
				conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
				if _, err = conn.Read(buf); errors.Is(err, syscall.ECONNREFUSED) {
					err = nil
				}
			}
			for range 8 { // the first may be refused
				conn.SetDeadline(time.Now().Add(400 * time.Millisecond))
				conn.Write([]byte("?"))
				if n, err := conn.Read(buf); err == nil {
					return string(buf[:n])
				}
			}
			return ""
		}
		if saw := asks(); saw != "" {
			t.Fatalf("%s: answered before the port is published: %s", name, saw)
		}
		c, err := m.tryAttach(Connection{Publish: []string{"8001:80/udp"}})
		if err != nil {
			t.Fatal(err)
		}
		serve(t, c.path, "udp", ":80")
		if saw := asks(); !strings.Contains(saw, "198.51.100.2") && !strings.Contains(saw, "2001:db8::2") {
			t.Errorf("%s: the old flow bypasses the published port: %q", name, saw)
		}
		if err := m.Release(t.Context(), c.id); err != nil {
			t.Error(err)
		}
		next := m.attachTo(t, Connection{}) // has the same address
		if next.addr != c.addr {
			t.Fatalf("the next container has %s, not %s", next.addr, c.addr)
		}
		serve(t, next.path, "udp", ":80")
		if saw := asks(); saw != "" {
			t.Errorf("%s: the flow of the old port reaches the next container with the address, which saw %s", name, saw)
		}
		if err := m.Release(t.Context(), next.id); err != nil {
			t.Error(err)
		}
	}
}
