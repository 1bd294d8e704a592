package network

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

func TestConnect(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	for name, subnet := range map[string]string{"n1": "10.77.1.0/24", "n2": "10.77.2.0/24"} {
		if err := m.Create(ctx, name, CreateOptions{Subnet: []string{subnet}}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { m.mustRemove(t, "n1", "n2", Default) })
	c := m.attachTo(t, Connection{Network: []string{"n1"}, Publish: []string{"8001:80"}})
	serve(t, c.path, "tcp", ":80")
	addrs := func() string {
		return strings.Join(strings.Fields(sh(t, "nsenter --net=%s ip -o -4 addr show scope global | awk '{print $4}'", c.path)), " ")
	}
	route := func() string {
		return strings.TrimSpace(sh(t, "nsenter --net=%s ip route show default | cut -d' ' -f3", c.path))
	}
	answers := func(when string) {
		t.Helper()
		if _, err := ask("", "tcp", "127.0.0.1:8001"); err != nil {
			t.Errorf("%s: port 8001: %v", when, err)
		}
	}
	check := func(when, wantAddrs, wantRoute string) {
		t.Helper()
		if a, r := addrs(), route(); a != wantAddrs || r != wantRoute {
			t.Errorf("%s: addresses %q by %q, want %q by %q", when, a, r, wantAddrs, wantRoute)
		}
		if wantRoute != "" {
			answers(when)
		}
	}
	connect := func(network string) error { return m.Connect(ctx, network, c.id, ConnectOptions{}) }
	disconnect := func(network string) error { return m.Disconnect(ctx, network, c.id, false) }
	do := func(f func(string) error, network, want string) {
		t.Helper()
		switch err := f(network); {
		case want == "" && err != nil:
			t.Error(err)
		case want != "" && (err == nil || err.Error() != want):
			t.Errorf("got %v, want %s", err, want)
		}
	}
	check("at first", "10.77.1.2/24", "10.77.1.1")
	do(connect, "n1", "network n1: container "+c.id+" is connected already")
	do(connect, "nosuch", "network nosuch: not found")
	do(disconnect, "n2", "network n2: container "+c.id+" is not connected")
	do(connect, "n2", "")
	check("connected", "10.77.1.2/24 10.77.2.2/24", "10.77.1.1")
	do(disconnect, "n1", "")
	check("without the first", "10.77.2.2/24", "10.77.2.1")
	do(disconnect, "n2", "")
	check("without any", "", "")
	do(connect, "n1", "")
	check("with one again", "10.77.1.2/24", "10.77.1.1")

	// Stopped.
	if err := m.Down(ctx, c.id); err != nil {
		t.Fatal(err)
	}
	do(connect, "n2", "")
	do(disconnect, "n1", "")
	do(connect, "n1", "")
	if n, _ := m.Inspect("n2"); n.Counts != 1 {
		t.Errorf("counts %d, want 1", n.Counts)
	}
	if err := m.Remove(ctx, "n2"); err == nil || err.Error() != "network n2 is used by container "+c.id {
		t.Error(err)
	}
	if err := m.Up(ctx, c.spec); err != nil {
		t.Fatal(err)
	}
	serve(t, c.path, "tcp", ":80")
	check("started", "10.77.2.2/24 10.77.1.2/24", "10.77.2.1")

	host := m.attachTo(t, Connection{Network: []string{"host"}})
	if err := m.Connect(ctx, "n1", host.id, ConnectOptions{}); err == nil || !strings.Contains(err.Error(), "has no network namespace of its own") {
		t.Error(err)
	}
	if err := m.Connect(ctx, "n1", state.NewID(), ConnectOptions{}); !errors.Is(err, state.ErrNotFound) {
		t.Error(err)
	}
}

// The leases of a connect that was killed before it stored them are freed by the next connect or by the release.
func TestConnectThatWasKilled(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	m.mustCreate(t, "n1", CreateOptions{Subnet: []string{"10.77.1.0/24"}})
	t.Cleanup(func() { m.mustRemove(t, "n1", Default) })
	killed := func(id string) {
		t.Helper()
		n, err := m.dir.ReadNet(id)
		if err != nil {
			t.Fatal(err)
		}
		n.Joining = "n1"
		if err := state.WriteVolatile(m.netPath(id), n); err != nil {
			t.Fatal(err)
		}
		if err := state.Claim(m.leasePath("n1", netip.MustParseAddr("10.77.1.2")), id); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.leases("n1"), state.TempPrefix+id), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left := func(when string) {
		t.Helper()
		if left, err := os.ReadDir(m.leases("n1")); len(left) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: left: %v, %v", when, left, err)
		}
	}
	c := m.attachTo(t, Connection{})
	killed(c.id)
	if err := m.Connect(ctx, "n1", c.id, ConnectOptions{}); err != nil {
		t.Fatal(err)
	}
	if n, err := m.dir.ReadNet(c.id); n.Joining != "" || len(n.Endpoints) != 2 || err != nil {
		t.Errorf("connected: %+v, %v", n, err)
	}
	if err := m.Disconnect(ctx, "n1", c.id, false); err != nil {
		t.Fatal(err)
	}
	left("connected and disconnected")
	killed(c.id)
	if err := m.Release(ctx, c.id); err != nil {
		t.Fatal(err)
	}
	left("gone")
	if err := m.Connect(ctx, "nosuch", m.attachTo(t, Connection{}).id, ConnectOptions{}); err == nil {
		t.Error("connected to a missing network")
	}
}
