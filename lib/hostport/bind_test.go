package hostport

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

func TestWordListsDescriptors(t *testing.T) {
	for want, fds := range map[string][]int{"": nil, "5": {5}, "5-6": {5, 6}, "5-7,9,11-12": {5, 6, 7, 9, 11, 12}, "9,5": {9, 5}} {
		if got := Word(fds); got != want {
			t.Errorf("%v: want %q, got %q", fds, want, got)
		}
	}
	for _, bad := range []string{"x", "2", "5-", "7-5", "5,,6", "-1"} {
		if _, err := Adopt(bad); err == nil {
			t.Errorf("%q was adopted", bad)
		}
	}
	if h, err := Adopt("901-903,907"); err != nil || !slices.Equal(h.FDs(), []int{901, 902, 903, 907}) {
		t.Errorf("got %v, %v", h.FDs(), err)
	}
}

// A bound port is not free and does not answer; after Close it is free again.
func TestHoldKeepsOthersOut(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, protocol := range []string{"tcp", "udp"} {
		for _, address := range []netip.Addr{{}, loopback} {
			port := freePort(t)
			h, err := Hold(state.Net{Ports: []state.Port{{HostIP: address, HostPort: port, ContainerPort: 80, Protocol: protocol}}})
			if err != nil {
				t.Fatal(err)
			}
			where := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
			listen := func() error {
				if protocol == "udp" {
					c, err := net.ListenPacket("udp", where)
					if err == nil {
						err = c.Close()
					}
					return err
				}
				l, err := net.Listen("tcp", where)
				if err == nil {
					err = l.Close()
				}
				return err
			}
			if listen() == nil {
				t.Errorf("%s of %q: another program got the port", protocol, address)
			}
			if Check(loopback, port, protocol) == nil {
				t.Errorf("%s of %q: the port counts as free", protocol, address)
			}
			if protocol == "tcp" {
				if c, err := net.Dial("tcp", where); err == nil {
					t.Errorf("%q: the port answers", address)
					c.Close()
				}
			}
			h.Close()
			if err := listen(); err != nil {
				t.Errorf("%s of %q: the port is not released: %v", protocol, address, err)
			}
		}
	}
}

// Connections in TIME_WAIT do not keep a port from being bound, and another program still cannot get it.
func TestHoldBesideEndedConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server.Close() // first, so that this end is in TIME_WAIT
	client.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	h, err := Hold(state.Net{Ports: []state.Port{{HostPort: port, ContainerPort: 80, Protocol: "tcp"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if again, err := net.Listen("tcp", l.Addr().String()); err == nil {
		again.Close()
		t.Error("another program got the port")
	}
}

func freePort(t *testing.T) uint16 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}
