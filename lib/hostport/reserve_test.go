package hostport

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

// alive is an [Evict] for containers that exist and have no name.
func alive(holder string) (string, error) { return holder, nil }

func TestReserve(t *testing.T) {
	r := Reservations{t.TempDir()}
	first, second := state.NewID(), state.NewID()
	free := func() uint16 {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return uint16(l.Addr().(*net.TCPAddr).Port)
	}()
	mine := []state.Port{port("", free, 80, "tcp")}
	if err := r.Reserve(mine, first, alive); err != nil {
		t.Fatal(err)
	}
	taken := fmt.Sprintf("publish 81/tcp: port %d is taken by container %s", free, first)
	for _, ip := range []string{"", "127.0.0.1", "0.0.0.0"} {
		if err := r.Reserve([]state.Port{port(ip, free, 81, "tcp")}, second, alive); err == nil || err.Error() != taken {
			t.Errorf("on %q: %v; want %s", ip, err, taken)
		}
	}
	if err := r.Reserve([]state.Port{port("", free, 81, "udp")}, second, alive); err != nil {
		t.Errorf("udp beside tcp: %v", err)
	}
	if !r.Has(mine, first) || r.Has(mine, second) {
		t.Error("the holder is not known")
	}
	if err := r.Release(mine, second); err != nil || !r.Has(mine, first) {
		t.Errorf("another container released the port (%v)", err)
	}
}

func TestReservePortsOfPrograms(t *testing.T) {
	r := Reservations{t.TempDir()}
	id := state.NewID()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcpPort, udpPort := uint16(tcp.Addr().(*net.TCPAddr).Port), uint16(udp.LocalAddr().(*net.UDPAddr).Port)
	for _, c := range []struct {
		port state.Port
		want string
	}{
		{port("", tcpPort, 80, "tcp"), fmt.Sprintf("publish 80/tcp: port %d is taken by another program on this host", tcpPort)},
		{port("127.0.0.1", tcpPort, 80, "tcp"), fmt.Sprintf("publish 80/tcp: port %d is taken by another program on this host", tcpPort)},
		{port("", udpPort, 53, "udp"), fmt.Sprintf("publish 53/udp: port %d is taken by another program on this host", udpPort)},
		{port("192.0.2.77", 8080, 80, "tcp"), "publish 80/tcp: 192.0.2.77 is not an address of this host"},
	} {
		if err := r.Reserve([]state.Port{c.port}, id, alive); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	twice := []state.Port{port("", 18080, 80, "tcp"), port("127.0.0.1", 18080, 81, "tcp")}
	if err := r.Reserve(twice, id, alive); err == nil || !strings.Contains(err.Error(), "port 18080 is published twice") {
		t.Error(err)
	}
	if left := r.list(); len(left) != 0 {
		t.Errorf("left after a refusal: %v", left)
	}
}

func TestRandomPortsAtOnce(t *testing.T) {
	r := Reservations{t.TempDir()}
	var wg sync.WaitGroup
	var lock sync.Mutex
	got := make([][]state.Port, 20)
	for i := range got {
		got[i] = []state.Port{port("", 0, 80, "tcp"), port("", 0, 81, "tcp")}
		id := state.NewID()
		wg.Go(func() {
			lock.Lock() // the network lock
			defer lock.Unlock()
			if err := r.Reserve(got[i], id, alive); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := make(map[uint16]bool)
	for _, ports := range got {
		for _, p := range ports {
			if p.HostPort < firstRandomPort || seen[p.HostPort] {
				t.Errorf("port %d was reserved twice, or is too low", p.HostPort)
			}
			seen[p.HostPort] = true
		}
	}
}

// The reservation of a container that is gone is evicted.
func TestEvict(t *testing.T) {
	r := Reservations{t.TempDir()}
	ports := []state.Port{port("", freePort(t), 80, "tcp")}
	first, second := state.NewID(), state.NewID()
	if err := r.Reserve(ports, first, alive); err != nil {
		t.Fatal(err)
	}
	var evicted []string
	gone := func(holder string) (string, error) { evicted = append(evicted, holder); return "", nil }
	if err := r.Reserve(ports, second, gone); err != nil || !r.Has(ports, second) || !slices.Equal(evicted, []string{first}) {
		t.Errorf("evicted %v, %v", evicted, err)
	}
}
