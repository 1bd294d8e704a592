package network

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

// Each path to a published port works or is closed as documented, and unpublished ports are closed.
func TestPublishedPorts(t *testing.T) { variants(t, publishedPorts) }

func TestPublishedPortsBesideDocker(t *testing.T) { besideDocker(t, publishedPorts) }

func publishedPorts(t *testing.T) {
	checkLeftovers(t)
	other := otherHost(t)
	m := newManager(t)
	ctx := context.Background()
	m.mustCreate(t, Default, CreateOptions{Subnet: []string{"10.20.30.0/24", "fd00:20::/64"}})
	m.mustCreate(t, "aside", CreateOptions{Subnet: []string{"10.77.0.0/24", "fd00:77::/64"}})
	m.mustCreate(t, "closed", CreateOptions{Subnet: []string{"10.78.0.0/24", "fd00:78::/64"}, Internal: true})
	t.Cleanup(func() { m.mustRemove(t, "aside", "closed", Default) })
	var publish []string
	for _, protocol := range []string{"tcp", "udp"} {
		for _, p := range []string{"8001:80", "127.0.0.1:8002:80", "[::1]:8002:80", "198.51.100.1:8003:80",
			"[2001:db8::1]:8003:80", "8100-8110:80-90", "0.0.0.0:8004:80", "[::]:8005:80"} {
			publish = append(publish, p+"/"+protocol)
		}
	}
	web := m.attachTo(t, Connection{Publish: publish})
	neighbour := m.attachTo(t, Connection{})
	stranger := m.attachTo(t, Connection{Network: []string{"aside"}})
	prisoner := m.attachTo(t, Connection{Network: []string{"closed"}})
	mate := m.attachTo(t, Connection{Network: []string{"closed"}})
	for _, protocol := range []string{"tcp", "udp"} {
		serve(t, web.path, protocol, ":80")
		serve(t, web.path, protocol, ":85")
		serve(t, mate.path, protocol, ":80")
	}
	// The other host has a route to the containers, so that the rules have something to drop.
	sh(t, `nsenter --net=%[1]s sh -ec 'ip route add 10.20.30.0/24 via 198.51.100.1; ip route add 10.77.0.0/24 via 198.51.100.1
ip route add fd00:20::/64 via 2001:db8::1; ip route add fd00:77::/64 via 2001:db8::1'`, other)

	// want4 and want6 are the client addresses that the server sees; "" means no answer.
	type cell struct{ client, path, address, want string }
	var cells []cell
	add := func(client, path, v4, want4, v6, want6 string) {
		cells = append(cells, cell{client, path, v4, want4}, cell{client, path, v6, want6})
	}
	const gateway, gateway6 = "10.20.30.1", "fd00:20::1"
	n, err := m.dir.ReadNet(neighbour.id)
	if err != nil {
		t.Fatal(err)
	}
	neighbour4, neighbour6 := n.Endpoints[0].Address.Addr().String(), n.Endpoints[0].Address6.Addr().String()
	// localhost
	add("localhost", "", "127.0.0.1:8001", gateway, "[::1]:8001", gateway6)
	add("localhost", "", "127.0.0.1:8002", gateway, "[::1]:8002", gateway6)
	add("localhost", "", "127.0.0.1:8003", "", "[::1]:8003", "")
	add("localhost", "", "127.0.0.1:8004", gateway, "[::1]:8004", "")
	add("localhost", "", "127.0.0.1:8005", "", "[::1]:8005", gateway6)
	add("localhost", "", "127.0.0.1:8105", gateway, "[::1]:8105", gateway6)
	add("localhost", "", "127.0.0.1:80", "", "[::1]:80", "")
	add("localhost", "", "127.0.0.9:8001", gateway, "[::1]:8001", gateway6)
	add("localhost", "", "127.0.0.9:8002", "", "[::1]:85", "")
	// the host's addresses
	add("this host", "", "198.51.100.1:8001", "198.51.100.1", "[2001:db8::1]:8001", "2001:db8::1")
	add("this host", "", "198.51.100.1:8002", "", "[2001:db8::1]:8002", "")
	add("this host", "", "198.51.100.1:8003", "198.51.100.1", "[2001:db8::1]:8003", "2001:db8::1")
	add("this host", "", "198.51.100.1:80", "", "[2001:db8::1]:80", "")
	add("this host", "", gateway+":8001", gateway, "["+gateway6+"]:8001", gateway6)
	add("this host", "", "10.20.30.2:80", gateway, "[fd00:20::2]:80", gateway6)
	// another host
	add("other host", other, "198.51.100.1:8001", "198.51.100.2", "[2001:db8::1]:8001", "2001:db8::2")
	add("other host", other, "198.51.100.1:8002", "", "[2001:db8::1]:8002", "")
	add("other host", other, "198.51.100.1:8003", "198.51.100.2", "[2001:db8::1]:8003", "2001:db8::2")
	add("other host", other, "198.51.100.1:8105", "198.51.100.2", "[2001:db8::1]:8105", "2001:db8::2")
	add("other host", other, "198.51.100.1:80", "", "[2001:db8::1]:80", "")
	add("other host", other, "10.20.30.2:80", "", "[fd00:20::2]:80", "")
	// another container of the network
	add("neighbour", neighbour.path, "198.51.100.1:8001", gateway, "[2001:db8::1]:8001", gateway6)
	add("neighbour", neighbour.path, "198.51.100.1:8002", "", "[2001:db8::1]:8002", "")
	add("neighbour", neighbour.path, gateway+":8001", gateway, "["+gateway6+"]:8001", gateway6)
	add("neighbour", neighbour.path, "198.51.100.1:8003", gateway, "[2001:db8::1]:8003", gateway6)
	add("neighbour", neighbour.path, "198.51.100.1:8105", gateway, "[2001:db8::1]:8105", gateway6)
	add("neighbour", neighbour.path, "198.51.100.1:80", "", "[2001:db8::1]:80", "")
	add("neighbour", neighbour.path, "10.20.30.2:80", neighbour4, "[fd00:20::2]:80", neighbour6)
	// the container itself
	add("itself", web.path, "198.51.100.1:8001", gateway, "[2001:db8::1]:8001", gateway6)
	add("itself", web.path, "198.51.100.1:8002", "", "[2001:db8::1]:8002", "")
	add("itself", web.path, "198.51.100.1:8105", gateway, "[2001:db8::1]:8105", gateway6)
	add("itself", web.path, "198.51.100.1:80", "", "[2001:db8::1]:80", "")
	add("itself", web.path, "127.0.0.1:80", "127.0.0.1", "[::1]:80", "::1")
	// containers of other networks
	add("another network", stranger.path, "10.20.30.2:80", "", "[fd00:20::2]:80", "")
	add("another network", stranger.path, "198.51.100.1:8001", "", "[2001:db8::1]:8001", "")
	add("another network", stranger.path, gateway+":8001", "", "["+gateway6+"]:8001", "")
	add("another network", stranger.path, "10.77.0.1:8001", "", "[fd00:77::1]:8001", "")
	add("an internal network", prisoner.path, "10.20.30.2:80", "", "[fd00:20::2]:80", "")
	add("an internal network", prisoner.path, "198.51.100.1:8001", "", "[2001:db8::1]:8001", "")
	add("to an internal network", stranger.path, "10.78.0.3:80", "", "[fd00:78::3]:80", "")
	add("in an internal network", prisoner.path, "10.78.0.3:80", "10.78.0.2", "[fd00:78::3]:80", "fd00:78::2")

	var wg sync.WaitGroup
	for _, c := range cells {
		for _, protocol := range []string{"tcp", "udp"} {
			wg.Go(func() {
				saw, err := ask(c.path, protocol, c.address)
				if saw != c.want {
					t.Errorf("%s to %s/%s: the server saw %q (%v), want %q", c.client, c.address, protocol, saw, err, c.want)
				}
			})
		}
	}
	wg.Wait()

	// Outgoing connections have the host's address, and internal networks have none.
	serve(t, other, "tcp", ":9000")
	for _, c := range []struct{ path, v4, v6 string }{
		{web.path, "198.51.100.1", "2001:db8::1"}, {stranger.path, "198.51.100.1", "2001:db8::1"}, {prisoner.path, "", ""},
	} {
		for address, want := range map[string]string{"198.51.100.2:9000": c.v4, "[2001:db8::2]:9000": c.v6} {
			if saw, err := ask(c.path, "tcp", address); saw != want {
				t.Errorf("outwards to %s: the server saw %q (%v), want %q", address, saw, err, want)
			}
		}
	}
	if err := m.Disconnect(ctx, Default, web.id, false); err != nil {
		t.Error(err)
	}
}

// Containers and other hosts cannot reach services and published ports on 127.0.0.1. Each attack succeeds once its rule is
// removed.
func TestLoopbackIsPrivate(t *testing.T) {
	variants(t, func(t *testing.T) {
		checkLeftovers(t)
		other := otherHost(t)
		m := newManager(t)
		t.Cleanup(func() { m.mustRemove(t, Default) })
		web := m.attachTo(t, Connection{Publish: []string{"127.0.0.1:8002:80"}})
		bad := m.attachTo(t, Connection{})
		serve(t, web.path, "tcp", ":80")
		serve(t, "", "tcp", "127.0.0.1:9001")
		for path, gateway := range map[string]string{bad.path: "10.20.30.1", other: "198.51.100.1"} {
			sh(t, `nsenter --net=%s sh -ec 'ip addr flush dev lo
for f in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 1 > $f; done
ip route add 127.0.0.0/8 via %s'`, path, gateway)
		}
		if saw, err := ask(bad.path, "tcp", "127.0.0.1:9001"); err == nil {
			t.Errorf("a container reaches this host's 127.0.0.1, which saw %s", saw)
		}
		if saw, err := ask(other, "tcp", "127.0.0.1:8002"); err == nil {
			t.Errorf("another host reaches a port published on 127.0.0.1, which saw %s", saw)
		}

		sh(t, "iptables -t raw -F MYDOCKER-LOOPBACK")
		if _, err := ask(bad.path, "tcp", "127.0.0.1:9001"); err != nil {
			t.Errorf("the attack from a container fails without our rule too: %v", err)
		}
		sh(t, "iptables -t nat -A PREROUTING -j MYDOCKER-PUBLISH")
		if _, err := ask(other, "tcp", "127.0.0.1:8002"); err != nil {
			t.Errorf("the attack from another host fails without our condition too: %v", err)
		}
		sh(t, "iptables -t nat -D PREROUTING -j MYDOCKER-PUBLISH")
	})
}

// The next container that publishes a port restores a flushed firewall, and a flushed firewall does not block a release.
func TestFlushedFirewall(t *testing.T) {
	variants(t, func(t *testing.T) {
		checkLeftovers(t)
		m := newManager(t)
		t.Cleanup(func() { m.mustRemove(t, Default) })
		first := m.attachTo(t, Connection{Publish: []string{"8001:80"}})
		sh(t, "for t in filter nat raw; do iptables -t $t -F; iptables -t $t -X; done")
		second := m.attachTo(t, Connection{Publish: []string{"8002:80"}})
		serve(t, second.path, "tcp", ":80")
		if saw, err := ask("", "tcp", "127.0.0.1:8002"); saw != "10.20.30.1" {
			t.Errorf("the server saw %q (%v)", saw, err)
		}
		if err := m.Release(context.Background(), first.id); err != nil {
			t.Error(err)
		}
	})
}

// Other programs' rules are unchanged after a container has come and gone.
func TestOthersRulesStay(t *testing.T) {
	variants(t, func(t *testing.T) {
		sh(t, `iptables -N THEIRS
iptables -A FORWARD -j THEIRS
iptables -A THEIRS -m comment --comment "mydocker/net/mydocker0x" -j RETURN
iptables -t nat -A POSTROUTING -s 10.20.30.0/24 -j RETURN`)
		before := strings.Join(leftovers(t), "\n")
		m := newManager(t)
		c := m.attachTo(t, Connection{Publish: []string{"8001:80"}})
		if err := m.Release(context.Background(), c.id); err != nil {
			t.Error(err)
		}
		m.mustRemove(t, Default)
		if after := strings.Join(leftovers(t), "\n"); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
		sh(t, `iptables -F FORWARD; iptables -F THEIRS; iptables -X THEIRS; iptables -t nat -F POSTROUTING`)
	})
}

// A publish that fails after it has added its rules, and succeeds at the second try, leaves each rule once.
func TestPublishedOnce(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m := newManager(t)
	ctx := context.Background()
	t.Cleanup(func() { m.mustRemove(t, Default) })
	c := m.attachTo(t, Connection{Publish: []string{"8001:80"}})
	n, err := m.dir.ReadNet(c.id)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.firewall.Unpublish(ctx, c.id, n); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(m.dir.Run, "published", c.id), 0o700); err != nil { // no link can be made there
		t.Fatal(err)
	}
	if err := m.publish(ctx, c.id, n); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, "iptables-save 2>/dev/null | grep -c -- '--comment.*mydocker/%s'", c.id); strings.TrimSpace(got) != "1" {
		t.Errorf("it has %s rules, want 1", got)
	}
}

// The torn record of one container does not block the rules of others.
func TestReloadBesideATornFile(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m := newManager(t)
	t.Cleanup(func() { m.mustRemove(t, Default) })
	m.attachTo(t, Connection{Publish: []string{"8001:80"}})
	const torn = "0123456789ab"
	for path, text := range map[string]string{filepath.Join(m.dir.Run, "published", torn): "", filepath.Join(m.dir.Bundle(torn), state.NetFile): `{"mode":`} {
		if err := state.WriteFileVolatile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	sh(t, "iptables -t nat -F")
	if err := m.reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	sh(t, "iptables-save | grep -- '--dport 8001.*mydocker/'")
}
