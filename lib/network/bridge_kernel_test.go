package network

import (
	"context"
	"os"
	"testing"
)

// A host whose addresses are those of the default network gets another one.
func TestDefaultMakesRoom(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	sh(t, "ip link add mydocker0 type bridge; ip addr add 10.20.30.1/24 dev mydocker0; ip link set mydocker0 up")
	t.Cleanup(func() { sh(t, "ip link del mydocker0") })
	m := newManager(t)
	t.Cleanup(func() { m.mustRemove(t, Default) })
	c := m.attachTo(t, Connection{})
	if c.addr.String() != "10.20.31.2" {
		t.Errorf("got %s", c.addr)
	}
	if err := m.Create(context.Background(), "other", CreateOptions{Subnet: []string{"10.20.30.0/25"}}); err == nil ||
		err.Error() != "network other: subnet 10.20.30.0/25 overlaps 10.20.30.0/24: a route of this host on mydocker0" {
		t.Error(err)
	}

	// A second state directory beside it has a default network of its own.
	second := newManager(t)
	t.Cleanup(func() { second.mustRemove(t, Default) })
	if c := second.attachTo(t, Connection{}); c.addr.String() != "10.20.32.2" {
		t.Errorf("the second state directory: got %s", c.addr)
	}
}

// Bridges do not survive a reboot, and a state directory can be deleted beneath a bridge.
func TestBridgeComesBack(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	t.Cleanup(func() { m.mustRemove(t, Default) })
	c := m.attachTo(t, Connection{})
	sh(t, "ip link del mydocker0")
	if err := os.RemoveAll(m.dir.Run); err == nil {
		t.Error("the namespace is still there, so this must fail in part")
	}
	if err := m.Up(ctx, c.spec); err != nil {
		t.Fatal(err)
	}
	serve(t, c.path, "tcp", ":80")
	if saw, err := ask("", "tcp", c.addr.String()+":80"); err != nil {
		t.Error(saw, err)
	}
	if err := m.Release(ctx, c.id); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(m.path(Default)); err != nil {
		t.Fatal(err)
	}
	if c := m.attachTo(t, Connection{}); c.addr.String() != "10.20.30.2" {
		t.Errorf("after the state was deleted: %s", c.addr)
	}
}
