package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// mustRemove removes networks at the end of a test.
func (m *Manager) mustRemove(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := m.Remove(context.Background(), name); err != nil {
			t.Error(err)
		}
	}
}

// files lists the state directory without the files that always stay.
func (m *Manager) files(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, root := range []string{m.dir.Root, m.dir.Run} {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && filepath.Dir(path) != filepath.Join(m.dir.Run, "locks") {
				list = append(list, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return list
}

func TestLifeOfAContainer(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	t.Cleanup(func() {
		m.mustRemove(t, Default)
		if files := m.files(t); len(files) > 0 {
			t.Errorf("left behind: %v", files)
		}
	})
	c := m.attachTo(t, Connection{Publish: []string{"8001:80", "80"}})
	if c.addr.String() != "10.20.30.2" || c.path != m.dir.NetNS(c.id) {
		t.Errorf("%s at %s", c.addr, c.path)
	}
	if got := c.spec.Annotation(spec.AnnotationNets); got != "mydocker0=10.20.30.2/24" {
		t.Error(got)
	}
	if got := c.spec.Annotation(spec.AnnotationPorts); !strings.HasPrefix(got, "8001->80/tcp,") {
		t.Error(got)
	}
	if hooks := c.spec.Hooks; hooks == nil || strings.Join(hooks.Poststop[0].Args, " ") != "md-net detach "+c.id {
		t.Errorf("%+v", hooks)
	}
	if err := m.Attach(Options{})(ctx, c.spec); err == nil || !strings.Contains(err.Error(), "attached already") {
		t.Error(err)
	}
	serve(t, c.path, "tcp", ":80")
	if saw, err := ask("", "tcp", "127.0.0.1:8001"); err != nil {
		t.Error(saw, err)
	}
	before, err := m.dir.ReadNet(c.id)
	if err != nil {
		t.Fatal(err)
	}

	// A kept container loses links and ports at its end, but not its address.
	if err := state.WriteJSON(filepath.Join(m.dir.Bundle(c.id), state.SpawnFile), state.Spawn{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Detach(ctx, c.id); err != nil {
			t.Fatal(err)
		}
	}
	if dev, err := link.Find(before.Endpoints[0].HostLink); dev != nil || err != nil {
		t.Errorf("the link remains: %v %v", dev, err)
	}
	if linux.CheckNetNS(c.path) == nil || m.reservedPorts() > 0 {
		t.Error("the namespace or a port remains")
	}
	if n, _ := m.Inspect(Default); n.Counts != 1 {
		t.Errorf("counts %d, want 1", n.Counts)
	}
	if other := m.attachTo(t, Connection{Publish: []string{"8001:80"}}); other.addr == c.addr {
		t.Error("another container got the address")
	} else if err := m.Up(ctx, c.spec); err == nil || !strings.Contains(err.Error(), "port 8001 is taken by container "+other.id) {
		t.Errorf("a start without its port: %v", err)
	} else if err := m.Release(ctx, other.id); err != nil {
		t.Error(err)
	}

	c.spec.SetNamespace(specs.NetworkNamespace, "")
	for range 2 { // the second start finds the leftovers of a killed one
		if err := m.Up(ctx, c.spec); err != nil {
			t.Fatal(err)
		}
	}
	if ns, _ := c.spec.Namespace(specs.NetworkNamespace); ns.Path != c.path {
		t.Errorf("namespace %q", ns.Path)
	}
	after, err := m.dir.ReadNet(c.id)
	if a, b := fmt.Sprint(before), fmt.Sprint(after); a != b || err != nil {
		t.Errorf("before %s, after %s (%v)", a, b, err)
	}
	serve(t, c.path, "tcp", ":80")
	if saw, err := ask("", "tcp", "127.0.0.1:8001"); err != nil {
		t.Error(saw, err)
	}
	for range 2 {
		if err := m.Release(ctx, c.id); err != nil {
			t.Fatal(err)
		}
	}
	if n, _ := m.Inspect(Default); n.Counts != 0 {
		t.Errorf("counts %d, want 0", n.Counts)
	}
	if err := os.RemoveAll(m.dir.Bundle(c.id)); err != nil {
		t.Error(err)
	}
}

// Detach releases everything of a container that is not kept, as under another OCI runtime.
func TestDetach(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m := newManager(t)
	c := m.attachTo(t, Connection{Publish: []string{"8001:80"}})
	path := os.Getenv("PATH")
	t.Setenv("PATH", "") // as in a hook
	for range 2 {
		if err := m.Detach(context.Background(), c.id); err != nil {
			t.Error(err)
		}
	}
	t.Setenv("PATH", path)
	m.mustRemove(t, Default)
	if files := m.files(t); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
	if err := m.Detach(context.Background(), "../../etc"); err == nil {
		t.Error("a path was accepted as an id")
	}
}

func TestModes(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	t.Cleanup(func() { m.mustRemove(t, Default) })
	first := m.attachTo(t, Connection{})
	elsewhere := filepath.Join(t.TempDir(), "ns")
	if err := linux.NewNetNS(elsewhere, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { linux.RemoveNetNS(elsewhere) })

	for _, c := range []struct{ network, path, links string }{
		{"none", "own", "lo"},
		{"host", "", ""},
		{"container:" + first.id, first.path, ""},
		{"ns:" + elsewhere, elsewhere, "lo"},
	} {
		got := m.attachTo(t, Connection{Network: []string{c.network}})
		if c.path == "own" {
			c.path = m.dir.NetNS(got.id)
		}
		if got.path != c.path {
			t.Errorf("%s: namespace %q, want %q", c.network, got.path, c.path)
		}
		if c.links != "" {
			links := sh(t, "nsenter --net=%s ip -o link show | cut -d: -f2", got.path)
			if strings.TrimSpace(links) != c.links {
				t.Errorf("%s: links %q, want %q", c.network, links, c.links)
			}
		}
		if err := m.Down(ctx, got.id); err != nil {
			t.Errorf("%s: %v", c.network, err)
		}
		if err := m.Up(ctx, got.spec); err != nil {
			t.Errorf("%s: %v", c.network, err)
		}
		if _, ok := got.spec.Namespace(specs.NetworkNamespace); ok != (c.network != "host") {
			t.Errorf("%s: namespace entry %v after a start", c.network, ok)
		}
		if c.network == "none" {
			if up := sh(t, "nsenter --net=%s ip -o link show up", c.path); !strings.Contains(up, "lo:") {
				t.Error("none: lo is down")
			}
		}
	}
	if err := linux.CheckNetNS(elsewhere); err != nil {
		t.Error("removed another program's namespace:", err)
	}

	for _, c := range []struct{ network, publish, want string }{
		{"container:nosuch", "", `network container:nosuch: container "nosuch": not found`},
		{"ns:relative", "", "network ns:relative: want an absolute path"},
		{"ns:/no/such", "", "network ns:/no/such: open /no/such: no such file or directory"},
		{"ns:/etc/passwd", "", "network ns:/etc/passwd: /etc/passwd is not a network namespace"},
		{"ns:/proc/self/ns/uts", "", "network ns:/proc/self/ns/uts: /proc/self/ns/uts is not a network namespace"},
		{"nosuch", "", "network nosuch: not found"},
		{"host", "80:80", "publish 80/tcp: a container with --network host has no ports of its own"},
		{"mydocker0", "[::1]:80:80", "publish 80/tcp on ::1: the container has no IPv6 address"},
	} {
		o := Connection{Network: []string{c.network}}
		if c.publish != "" {
			o.Publish = []string{c.publish}
		}
		if _, err := m.tryAttach(o); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// An attach that fails half way leaves nothing.
func TestFailedAttach(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m := newManager(t)
	serve(t, "", "tcp", "127.0.0.1:9001")
	for name, o := range map[string]Connection{
		"second network":  {Network: []string{Default, "nosuch"}, Publish: []string{"8001:80"}},
		"port of program": {Publish: []string{"8001:80", "9001:80"}},
		"port twice":      {Publish: []string{"8001:80", "8001:81"}},
	} {
		if _, err := m.tryAttach(o); err == nil {
			t.Errorf("%s: no error", name)
		}
		m.mustRemove(t, Default)
		if files := m.files(t); len(files) > 0 {
			t.Errorf("%s: left behind: %v", name, files)
		}
		if dirs, _ := os.ReadDir(m.dir.Containers()); len(dirs) > 0 {
			t.Errorf("%s: left behind: %v", name, dirs)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	t.Cleanup(func() { m.mustRemove(t, Default) })
	const many = 20
	var (
		wg   sync.WaitGroup
		all  [many]attached
		errs [many]error
	)
	for i := range many {
		wg.Go(func() { all[i], errs[i] = New(m.dir).tryAttach(Connection{Publish: []string{"80"}}) })
	}
	wg.Wait()
	seen := make(map[string]bool)
	for i, c := range all {
		if errs[i] != nil {
			t.Error(errs[i])
			continue
		}
		if seen[c.addr.String()] || c.addr.String() == "10.20.30.1" {
			t.Errorf("%s was leased twice", c.addr)
		}
		seen[c.addr.String()] = true
		serve(t, c.path, "tcp", ":80")
		hostPort, _, _ := strings.Cut(c.spec.Annotation(spec.AnnotationPorts), "->")
		if saw, err := ask("", "tcp", "127.0.0.1:"+hostPort); err != nil {
			t.Error(c.addr, saw, err)
		}
	}
	for _, c := range all {
		wg.Go(func() {
			if err := m.Release(ctx, c.id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()

	// One of many containers gets a port.
	for i := range many {
		wg.Go(func() { all[i], errs[i] = New(m.dir).tryAttach(Connection{Publish: []string{"8001:80"}}) })
	}
	wg.Wait()
	winners := 0
	for i, err := range errs {
		switch {
		case err == nil:
			winners++
			if err := m.Release(ctx, all[i].id); err != nil {
				t.Error(err)
			}
		case !strings.Contains(err.Error(), "port 8001 is taken by container"):
			t.Error(err)
		}
	}
	if winners != 1 {
		t.Errorf("%d containers have port 8001", winners)
	}
}

// The stage changes only its own fields of the document.
func TestOwnership(t *testing.T) {
	requireKernel(t)
	m := newManager(t)
	t.Cleanup(func() { m.mustRemove(t, Default) })
	s := spec.New(state.NewID())
	s.Annotate("label", "value")
	before, err := json.Marshal(s.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Attach(Options{Connection: Connection{Publish: []string{"8001:80"}}})(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Release(context.Background(), s.ID()) })
	if len(s.Linux.Sysctl) != 2 {
		t.Errorf("sysctls %v", s.Linux.Sysctl)
	}
	s.Hooks, s.Linux.Sysctl = nil, nil
	s.SetNamespace(specs.NetworkNamespace, "")
	s.Annotate(spec.AnnotationNets, "")
	s.Annotate(spec.AnnotationPorts, "")
	if after, err := json.Marshal(s.Spec); err != nil || string(after) != string(before) {
		t.Errorf("before %s\nafter %s (%v)", before, after, err)
	}
}

// The port and address of a container that was removed with rm -rf are free.
func TestTakenBack(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	t.Cleanup(func() { m.mustRemove(t, "tiny", Default) })
	if err := m.Create(ctx, "tiny", CreateOptions{Subnet: []string{"10.77.0.0/30"}}); err != nil {
		t.Fatal(err)
	}
	o := Connection{Network: []string{"tiny"}, Publish: []string{"8001:80"}}
	lost := m.attachTo(t, o)
	n, err := m.dir.ReadNet(lost.id)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(m.dir.Bundle(lost.id)); err != nil {
		t.Fatal(err)
	}
	sh(t, "ip link del %s", n.Endpoints[0].HostLink)
	c := m.attachTo(t, o)
	if c.addr != lost.addr {
		t.Errorf("got %s, want %s, the only address", c.addr, lost.addr)
	}
	if rules := sh(t, "iptables -t nat -S MYDOCKER-PUBLISH"); strings.Contains(rules, lost.id) {
		t.Errorf("its rule remains:\n%s", rules)
	}
}

// A /24 has room for 253 containers and refuses the next one. When a container goes, its address is free again.
func TestFullNetwork(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	t.Cleanup(func() { m.mustRemove(t, Default) })
	var all []attached
	for range 253 {
		all = append(all, m.attachTo(t, Connection{}))
	}
	if last := all[252].addr.String(); last != "10.20.30.254" {
		t.Errorf("the last container has %s", last)
	}
	_, err := m.tryAttach(Connection{})
	if err == nil || err.Error() != "network mydocker0: no free address in 10.20.30.0/24" {
		t.Errorf("one more: %v", err)
	}
	if saw, err := askOnce(t, all[252], all[0]); saw != "10.20.30.254" {
		t.Errorf("the last container connected to the first, which saw %q (%v)", saw, err)
	}
	if err := m.Release(ctx, all[7].id); err != nil {
		t.Fatal(err)
	}
	if c := m.attachTo(t, Connection{}); c.addr != all[7].addr {
		t.Errorf("the next container has %s, not %s", c.addr, all[7].addr)
	}
}

func askOnce(t *testing.T, from, to attached) (string, error) {
	serve(t, to.path, "tcp", ":80")
	return ask(from.path, "tcp", to.addr.String()+":80")
}
