package network

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// variants runs the test beside both firewalls that Debian has, where FORWARD drops what nobody accepts and
// where it accepts what nobody drops, and with bridged frames shown to the firewall and not.
func variants(t *testing.T, test func(t *testing.T)) {
	requireKernel(t)
	for _, v := range []struct{ kind, policy, bridgeCall string }{
		{"nft", "DROP", "1"}, {"nft", "ACCEPT", "0"}, {"legacy", "DROP", "0"}, {"legacy", "ACCEPT", "1"},
	} {
		t.Run(v.kind+"-"+v.policy+"-"+v.bridgeCall, func(t *testing.T) {
			tools := t.TempDir()
			for _, tool := range []string{"iptables", "iptables-save", "iptables-restore"} {
				path, err := findTool(strings.Replace(tool, "iptables", "iptables-"+v.kind, 1))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(path, filepath.Join(tools, tool)); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
			if err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte(v.bridgeCall), 0o644); err != nil {
				t.Logf("bridged frames never come to this kernel's firewall: %v", err)
			}
			sh(t, "iptables -P FORWARD %s", v.policy)
			t.Cleanup(func() { sh(t, "iptables -P FORWARD ACCEPT") })
			test(t)
		})
	}
}

// Every way to a published port, and to one that is not, is open or closed as promised.
func TestPublishedPorts(t *testing.T) {
	variants(t, func(t *testing.T) {
		checkLeftovers(t)
		other := otherHost(t)
		m := newManager(t)
		ctx := context.Background()
		if err := m.Create(ctx, "aside", CreateOptions{Subnet: []string{"10.77.0.0/24"}}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.mustRemove(t, "aside", Default) })
		web := m.attachTo(t, Options{Publish: []string{
			"8001:80", "127.0.0.1:8002:80", "198.51.100.1:8003:80", "8100-8110:80-90",
			"8001:80/udp", "127.0.0.1:8002:80/udp", "198.51.100.1:8003:80/udp", "8100-8110:80-90/udp",
		}})
		neighbour := m.attachTo(t, Options{})
		stranger := m.attachTo(t, Options{Network: []string{"aside"}})
		for _, protocol := range []string{"tcp", "udp"} {
			serve(t, web.path, protocol, ":80")
			serve(t, web.path, protocol, ":85")
		}
		// Without a route from elsewhere there would be nothing to keep out.
		sh(t, `nsenter --net=%[1]s ip route add 10.20.30.0/24 via 198.51.100.1
nsenter --net=%[1]s ip route add 10.77.0.0/24 via 198.51.100.1`, other)

		direct := web.addr.String() + ":80"
		var wg sync.WaitGroup
		for _, c := range []struct {
			who, path, address, want string // want: the address that the server sees; "" is no answer
		}{
			{"localhost", "", "127.0.0.1:8001", "10.20.30.1"},
			{"localhost", "", "127.0.0.1:8002", "10.20.30.1"},
			{"localhost", "", "127.0.0.1:8003", ""},
			{"localhost", "", "127.0.0.1:8105", "10.20.30.1"},
			{"localhost", "", "127.0.0.9:8001", "10.20.30.1"},
			{"localhost", "", "127.0.0.9:8002", ""},
			{"localhost", "", "127.0.0.1:80", ""},
			{"this host", "", "198.51.100.1:8001", "198.51.100.1"},
			{"this host", "", "198.51.100.1:8002", ""},
			{"this host", "", "198.51.100.1:8003", "198.51.100.1"},
			{"this host", "", "10.20.30.1:8001", "10.20.30.1"},
			{"this host", "", direct, "10.20.30.1"},
			{"other host", other, "198.51.100.1:8001", "198.51.100.2"},
			{"other host", other, "198.51.100.1:8002", ""},
			{"other host", other, "198.51.100.1:8003", "198.51.100.2"},
			{"other host", other, "198.51.100.1:8105", "198.51.100.2"},
			{"other host", other, "198.51.100.1:80", ""},
			{"other host", other, direct, ""},
			{"neighbour", neighbour.path, "198.51.100.1:8001", "10.20.30.1"},
			{"neighbour", neighbour.path, "10.20.30.1:8001", "10.20.30.1"},
			{"neighbour", neighbour.path, "198.51.100.1:8003", "10.20.30.1"},
			{"neighbour", neighbour.path, "198.51.100.1:8105", "10.20.30.1"},
			{"neighbour", neighbour.path, direct, neighbour.addr.String()},
			{"itself", web.path, "198.51.100.1:8001", "10.20.30.1"},
			{"itself", web.path, "198.51.100.1:8105", "10.20.30.1"},
			{"itself", web.path, "127.0.0.1:80", "127.0.0.1"},
			{"another network", stranger.path, direct, ""},
			{"another network", stranger.path, "198.51.100.1:8001", ""},
			{"another network", stranger.path, "10.20.30.1:8001", ""},
			{"another network", stranger.path, "10.77.0.1:8001", ""},
		} {
			for _, protocol := range []string{"tcp", "udp"} {
				wg.Go(func() {
					saw, err := ask(c.path, protocol, c.address)
					if saw != c.want {
						t.Errorf("%s to %s/%s: the server saw %q (%v), want %q", c.who, c.address, protocol, saw, err, c.want)
					}
				})
			}
		}
		wg.Wait()

		// Outwards, all go with the host's address.
		serve(t, other, "tcp", "198.51.100.2:9000")
		for _, c := range []attached{web, stranger} {
			if saw, err := ask(c.path, "tcp", "198.51.100.2:9000"); saw != "198.51.100.1" {
				t.Errorf("%s outwards: the server saw %q (%v), want this host", c.addr, saw, err)
			}
		}
	})
}

// Services of 127.0.0.1, and ports published there, are this host's alone: not those of containers, nor of
// another host that sends packets to that address. Each attack works as soon as its rule is gone.
func TestLoopbackIsPrivate(t *testing.T) {
	variants(t, func(t *testing.T) {
		checkLeftovers(t)
		other := otherHost(t)
		m := newManager(t)
		t.Cleanup(func() { m.mustRemove(t, Default) })
		web := m.attachTo(t, Options{Publish: []string{"127.0.0.1:8002:80"}})
		bad := m.attachTo(t, Options{})
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

		sh(t, "iptables -t raw -F "+chainLoopback)
		if _, err := ask(bad.path, "tcp", "127.0.0.1:9001"); err != nil {
			t.Errorf("the attack from a container is none: it fails without our rule, too: %v", err)
		}
		sh(t, "iptables -t nat -A PREROUTING -j "+chainPublish)
		if _, err := ask(other, "tcp", "127.0.0.1:8002"); err != nil {
			t.Errorf("the attack from another host is none: it works not without our condition, either: %v", err)
		}
		sh(t, "iptables -t nat -D PREROUTING -j "+chainPublish)
	})
}

// A firewall that somebody flushed is put right by the next container that publishes a port, and hinders none
// from going.
func TestFlushedFirewall(t *testing.T) {
	variants(t, func(t *testing.T) {
		checkLeftovers(t)
		m := newManager(t)
		t.Cleanup(func() { m.mustRemove(t, Default) })
		first := m.attachTo(t, Options{Publish: []string{"8001:80"}})
		sh(t, "for t in filter nat raw; do iptables -t $t -F; iptables -t $t -X; done")
		second := m.attachTo(t, Options{Publish: []string{"8002:80"}})
		serve(t, second.path, "tcp", ":80")
		if saw, err := ask("", "tcp", "127.0.0.1:8002"); saw != "10.20.30.1" {
			t.Errorf("the server saw %q (%v)", saw, err)
		}
		if err := m.Release(context.Background(), first.id); err != nil {
			t.Error(err)
		}
	})
}

// Rules of others are the same afterwards, though we came and went.
func TestOthersRulesStay(t *testing.T) {
	variants(t, func(t *testing.T) {
		sh(t, `iptables -N THEIRS
iptables -A FORWARD -j THEIRS
iptables -A THEIRS -m comment --comment "mydocker/net/mydocker0x" -j RETURN
iptables -t nat -A POSTROUTING -s 10.20.30.0/24 -j RETURN`)
		before := strings.Join(leftovers(t), "\n")
		m := newManager(t)
		c := m.attachTo(t, Options{Publish: []string{"8001:80"}})
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
