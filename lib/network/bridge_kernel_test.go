package network

import (
	"context"
	"os"
	"testing"
)

// If the host uses the addresses of the default network, the network gets others.
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

	// A second state directory has its own default network.
	second := newManager(t)
	t.Cleanup(func() { second.mustRemove(t, Default) })
	if c := second.attachTo(t, Connection{}); c.addr.String() != "10.20.32.2" {
		t.Errorf("the second state directory: got %s", c.addr)
	}
}

// A bridge that is gone is made again, and one of a deleted state directory is reused.
func TestBridgeComesBack(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	t.Cleanup(func() { m.mustRemove(t, Default) })
	c := m.attachTo(t, Connection{})
	sh(t, "ip link del mydocker0")
	if err := os.RemoveAll(m.dir.Run); err == nil {
		t.Error("the runtime directory was removed, although a namespace is mounted in it")
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
