package network

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// newNamespace makes a namespace as another program would, and returns its path.
func newNamespace(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ns")
	if err := linux.NewNetNS(path, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := linux.RemoveNetNS(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// newProcess starts a process with its own network namespace, and returns its pid and a function that ends it.
func newProcess(t *testing.T) (pid int, end func()) {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	// Without Pdeathsig: it is sent when the starting thread ends (prctl(2)), and threads end with namespaces.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(end)
	return cmd.Process.Pid, end
}

// checkClean fails the test if files remain at its end.
func (m *Manager) checkClean(t *testing.T) {
	t.Helper()
	checkLeftovers(t)
	t.Cleanup(func() {
		m.mustRemove(t, Default)
		if files := m.files(t); len(files) > 0 {
			t.Errorf("left behind: %v", files)
		}
		if dirs, _ := os.ReadDir(m.dir.Containers()); len(dirs) > 0 {
			t.Errorf("left behind: %v", dirs)
		}
	})
}

// eventually waits until a condition is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestAttachToNamespace(t *testing.T) {
	requireKernel(t)
	m, ctx := newManager(t), context.Background()
	m.checkClean(t)
	path, id := newNamespace(t), state.NewID()
	attach := func(id string) error {
		return m.AttachTo(ctx, id, Place{NetNS: path}, Connection{Publish: []string{"8001:80"}})
	}
	if err := attach(id); err != nil {
		t.Fatal(err)
	}
	serve(t, path, "tcp", ":80")
	if saw, err := ask("", "tcp", "127.0.0.1:8001"); err != nil {
		t.Error(saw, err)
	}
	if err := attach(id); err == nil || !strings.Contains(err.Error(), "attached already") {
		t.Error(err)
	}
	if err := attach(state.NewID()); err == nil || !strings.Contains(err.Error(), "port 8001 is taken by container "+id) {
		t.Error(err)
	}
	view, err := m.InspectContainer(id)
	if err != nil || view.NetNS != path || len(view.Endpoints) != 1 || view.ID != id {
		t.Errorf("%+v %v", view, err)
	}
	if got, err := m.Namespace(id); got != path || err != nil {
		t.Error(got, err)
	}
	if n, _ := m.Inspect(Default); n.Counts != 1 {
		t.Errorf("counts %d, want 1", n.Counts)
	}
	if list, err := m.dir.List(func(err error) { t.Error(err) }); len(list) > 0 || err != nil {
		t.Error("listed as a container:", list, err)
	}

	// After a connect to a second network and a disconnect from the first, the port uses the second.
	if err := m.Create(ctx, "more", CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.mustRemove(t, "more") })
	if err := m.Connect(ctx, "more", id, ConnectOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := m.Disconnect(ctx, Default, id, false); err != nil {
		t.Fatal(err)
	}
	if saw, err := ask("", "tcp", "127.0.0.1:8001"); err != nil {
		t.Error(saw, err)
	}
	for range 2 {
		if err := m.Detach(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := linux.CheckNetNS(path); err != nil {
		t.Error("removed another program's namespace:", err)
	}
	if got := sh(t, "nsenter --net=%s ip -o link | cut -d: -f2", path); strings.TrimSpace(got) != "lo" {
		t.Error(got)
	}
	if _, err := m.InspectContainer(id); err == nil {
		t.Error("the attachment remains")
	}
}

func TestAttachToProcess(t *testing.T) {
	requireKernel(t)
	m, ctx := newManager(t), context.Background()
	m.checkClean(t)
	pid, end := newProcess(t)
	id := state.NewID()
	if err := m.AttachTo(ctx, id, Place{PID: pid}, Connection{Publish: []string{"8001:80"}}); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, "nsenter -n -t %d ip -o -4 addr", pid); !strings.Contains(got, "10.20.30.2/24") {
		t.Error(got)
	}

	// After the process has ended, the address and the port are free.
	end()
	n, err := m.dir.ReadNet(id)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace goes", func() bool { return m.isLost(id, n) })
	if n, _ := m.Inspect(Default); n.Counts != 0 {
		t.Errorf("counts %d, want 0", n.Counts)
	}
	if _, err := m.Namespace(id); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Error(err)
	}
	if err := m.Connect(ctx, Default, id, ConnectOptions{}); err == nil {
		t.Error("attached a namespace of a process that is gone")
	}
	pid, _ = newProcess(t)
	again := state.NewID()
	if err := m.AttachTo(ctx, again, Place{PID: pid}, Connection{Publish: []string{"8001:80"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(m.dir.Bundle(id)); err == nil {
		t.Error("the record of an ended process remains")
	}
	if view, err := m.InspectContainer(again); err != nil || view.Endpoints[0].Address.Addr().String() != "10.20.30.2" {
		t.Error(view, err)
	}
	if err := m.Detach(ctx, again); err != nil {
		t.Error(err)
	}
}

// A record without links is not lost while the command that makes them runs.
func TestAttachingIsNotLost(t *testing.T) {
	m := newManager(t)
	id := m.newContainer(t)
	n := state.Net{Mode: state.ModeBridge, NetNS: "/no/such", Endpoints: []state.Endpoint{{HostLink: "veth-nosuch"}}}
	if err := m.writeNet(id, n); err != nil {
		t.Fatal(err)
	}
	if err := m.dir.Acquire(id); err != nil {
		t.Fatal(err)
	}
	if m.isGone(id) {
		t.Error("lost while it is being made")
	}
	m.dir.Release(id)
	if !m.isGone(id) {
		t.Error("not lost")
	}
}

// With more namespaces than addresses at once, no attach frees the address of another whose links do not exist yet.
func TestAttachManyAtOnce(t *testing.T) {
	requireKernel(t)
	m, ctx := newManager(t), context.Background()
	m.checkClean(t)
	if err := m.Create(ctx, "small", CreateOptions{Subnet: []string{"10.79.0.0/29"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.mustRemove(t, "small") })
	var wg sync.WaitGroup
	var ids [12]string
	for i := range ids {
		path, id := newNamespace(t), state.NewID()
		wg.Go(func() {
			if err := m.AttachTo(ctx, id, Place{NetNS: path}, Connection{Network: []string{"small"}}); err == nil {
				ids[i] = id
			} else if !strings.Contains(err.Error(), "no free address") {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	holders := make(map[string]string)
	for _, id := range ids {
		if id == "" {
			continue
		}
		view, err := m.InspectContainer(id)
		if err != nil {
			t.Error(err)
			continue
		}
		addr := view.Endpoints[0].Address.Addr()
		if other := holders[addr.String()]; other != "" || m.holder("small", addr) != id {
			t.Errorf("%s is used by %s and %s, leased to %s", addr, id, other, m.holder("small", addr))
		}
		holders[addr.String()] = id
		if err := m.Detach(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if len(holders) != 5 {
		t.Errorf("%d have an address, want 5", len(holders))
	}
}

func TestRefusedPlaces(t *testing.T) {
	requireKernel(t)
	m, ctx := newManager(t), context.Background()
	m.checkClean(t)
	path := newNamespace(t)
	for _, c := range []struct {
		id    string
		place Place
		o     Connection
		want  string
	}{
		{"", Place{PID: os.Getpid()}, Connection{}, fmt.Sprintf("/proc/%d/ns/net is the host's own network namespace", os.Getpid())},
		{"", Place{PID: 1 << 30}, Connection{}, "open /proc/1073741824/ns/net: no such file or directory"},
		{"", Place{PID: -1}, Connection{}, "process -1: want a pid"},
		{"", Place{PID: 1, NetNS: "x"}, Connection{}, "--pid and --netns exclude each other"},
		{"", Place{NetNS: "no-such-name"}, Connection{}, "open /run/netns/no-such-name: no such file or directory"},
		{"", Place{NetNS: "/etc/passwd"}, Connection{}, "/etc/passwd is not a network namespace"},
		{"", Place{NetNS: "/proc/self/ns/net"}, Connection{}, "/proc/self/ns/net is the host's own network namespace"},
		{"", Place{NetNS: path}, Connection{Network: []string{"none"}}, "network none: want the name of a network for an existing namespace"},
		{"", Place{NetNS: path}, Connection{Network: []string{"nosuch"}}, "network nosuch: not found"},
		{"", Place{NetNS: path}, Connection{Publish: []string{"80:x"}}, `publish "80:x"`},
		{"../../etc/x", Place{NetNS: path}, Connection{}, `container id "../../etc/x": want 12 hexadecimal digits`},
	} {
		id := c.id
		if id == "" {
			id = state.NewID()
		}
		if err := m.AttachTo(ctx, id, c.place, c.o); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// The second attachment of a namespace keeps the default route of the first.
func TestAttachTwice(t *testing.T) {
	requireKernel(t)
	m, ctx := newManager(t), context.Background()
	m.checkClean(t)
	if err := m.Create(ctx, "second", CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.mustRemove(t, "second") })
	path, first, second := newNamespace(t), state.NewID(), state.NewID()
	if err := m.AttachTo(ctx, first, Place{NetNS: path}, Connection{}); err != nil {
		t.Fatal(err)
	}
	if err := m.AttachTo(ctx, second, Place{NetNS: path}, Connection{Network: []string{"second"}}); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, "nsenter --net=%s ip route show default", path); !strings.Contains(got, "via 10.20.30.1") || strings.Count(got, "default") != 1 {
		t.Error(got)
	}
	for _, id := range []string{first, second} {
		if err := m.Detach(ctx, id); err != nil {
			t.Error(err)
		}
	}
}
