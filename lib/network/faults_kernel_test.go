package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/firewall"
	"github.com/weikeit/mydocker/lib/state"
)

// runTool runs a piece of shell before each call of a firewall tool, with the path of its input in $batch, until end is called.
func runTool(t *testing.T, tool, script string) (end func()) {
	t.Helper()
	path, err := firewall.FindTool(tool)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script = fmt.Sprintf("#!/bin/sh\nbatch=%s/$$\ncat >$batch\n%s\nexec %s \"$@\" <$batch\n", dir, script, path)
	if err := os.WriteFile(filepath.Join(dir, tool), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	before := os.Getenv("PATH")
	t.Setenv("PATH", dir+":"+before)
	return func() { t.Setenv("PATH", before) }
}

// failTool makes a firewall tool fail for the next batches, so many times, with a line that matches a pattern of grep, or until
// mend is called.
func failTool(t *testing.T, times int, tool, pattern string) (mend func()) {
	t.Helper()
	dir := t.TempDir()
	for i := range times {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("fault.", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return runTool(t, tool, fmt.Sprintf(`! grep -q -e '%s' $batch || for fault in %s/fault.*; do
  rm "$fault" && echo 'a fault of the test' >&2 && exit 4
  break
done`, pattern, dir))
}

const always = 100

// A disconnect that could not publish the ports in the next network is completed by the next command that can.
func TestDisconnectThatFailed(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	for name, subnet := range map[string]string{"n1": "10.77.1.0/24", "n2": "10.77.2.0/24", "n3": "10.77.3.0/24"} {
		m.mustCreate(t, name, CreateOptions{Subnet: []string{subnet}})
	}
	t.Cleanup(func() { m.mustRemove(t, "n1", "n2", "n3", Default) })
	for name, next := range map[string]func(c attached) error{
		"disconnect": func(c attached) error { return m.Disconnect(ctx, "n1", c.id, false) },
		"connect":    func(c attached) error { return m.Connect(ctx, "n3", c.id, ConnectOptions{}) },
		"reload":     func(attached) error { return m.Reload(ctx) },
		"start": func(c attached) error {
			if err := m.Down(ctx, c.id); err != nil {
				return err
			}
			return m.Up(ctx, c.spec)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := m.attachTo(t, Connection{Network: []string{"n1", "n2"}, Publish: []string{"8001:80"}})
			mend := failTool(t, always, "iptables-nft-restore", "-A.*8001")
			if err := m.Disconnect(ctx, "n1", c.id, false); err == nil {
				t.Fatal("no error")
			}
			mend()
			if err := next(c); err != nil {
				t.Fatal(err)
			}
			n, err := m.dir.ReadNet(c.id)
			if err != nil || n.Joining != "" || n.EndpointIn("n1") >= 0 || n.EndpointIn("n2") != 0 {
				t.Errorf("the record is %+v, %v", n, err)
			}
			serve(t, c.path, "tcp", ":80")
			if _, err := ask("", "tcp", "127.0.0.1:8001"); err != nil {
				t.Errorf("port 8001: %v", err)
			}
			if faults, err := m.firewall.Faults(ctx, nil); len(faults) > 0 || err != nil {
				t.Errorf("%v, %v", faults, err)
			}
			if err := m.firewall.CheckPorts(ctx, c.id, n); err != nil {
				t.Error(err)
			}
		})
	}
}

// A container that cannot be disconnected can still be stopped and removed.
func TestRemoveAfterDisconnectThatFailed(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	m.mustCreate(t, "n1", CreateOptions{Subnet: []string{"10.77.1.0/24"}})
	m.mustCreate(t, "n2", CreateOptions{Subnet: []string{"10.77.2.0/24"}})
	t.Cleanup(func() { m.mustRemove(t, "n1", "n2", Default) })
	c := m.attachTo(t, Connection{Network: []string{"n1", "n2"}, Publish: []string{"8001:80"}})
	failTool(t, always, "iptables-nft-restore", "-A.*8001")
	if err := m.Disconnect(ctx, "n1", c.id, false); err == nil {
		t.Fatal("no error")
	}
	if err := errors.Join(m.Down(ctx, c.id), m.Release(ctx, c.id)); err != nil {
		t.Error(err)
	}
	if n := m.reservedPorts(); n != 0 {
		t.Errorf("%d ports are reserved", n)
	}
}

// A failed connect leaves the container as it was: its ports answer, and its record is the same.
func TestConnectThatFailed(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	m.mustCreate(t, "n1", CreateOptions{Subnet: []string{"10.77.1.0/24"}})
	m.mustCreate(t, "n2", CreateOptions{Subnet: []string{"10.77.2.0/24", "fd00:77::/64"}})
	t.Cleanup(func() { m.mustRemove(t, "n1", "n2", Default) })
	web := m.attachTo(t, Connection{Network: []string{"n1"}, Publish: []string{"8001:80"}})
	serve(t, web.path, "tcp", ":80")
	alone := m.attachTo(t, Connection{Network: []string{"none"}})

	connect := func(c attached, network string) {
		t.Helper()
		before, err := m.dir.ReadNet(c.id)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Connect(ctx, network, c.id, ConnectOptions{}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one error", err)
		}
		if after, err := m.dir.ReadNet(c.id); err != nil || !reflect.DeepEqual(after, before) {
			t.Errorf("the record is %+v, %v; before: %+v", after, err, before)
		}
	}
	published := func() string {
		mark, err := os.Readlink(filepath.Join(m.dir.Run, "published", web.id))
		if err != nil {
			t.Error(err)
		}
		return mark + sh(t, "iptables-save -t nat 2>/dev/null | grep %[1]s || true; ip6tables-save -t nat 2>/dev/null | grep %[1]s || true", web.id)
	}
	want := published()
	for _, fault := range []struct {
		tool  string
		times int
	}{{"iptables-nft-restore", 2}, {"ip6tables-nft-restore", always}} { // a publish tries twice
		mend := failTool(t, fault.times, fault.tool, "-A.*8001")
		connect(web, "n2") // the outlet of IPv6
		mend()
		if _, err := ask("", "tcp", "127.0.0.1:8001"); err != nil {
			t.Errorf("%s: port 8001: %v", fault.tool, err)
		}
		if got := published(); got != want {
			t.Errorf("%s: published %s, want %s", fault.tool, got, want)
		}
	}

	n, err := m.dir.ReadNet(alone.id)
	n.Unnamed = true
	if err := errors.Join(err, m.writeNet(alone.id, n)); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(m.dir.Run, "names", state.TempPrefix+"members") // a directory there keeps the list from being written
	if err := os.MkdirAll(filepath.Join(temp, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	connect(alone, "n1")
	if err := os.RemoveAll(temp); err != nil {
		t.Fatal(err)
	}
}

// An error while the rules are compared does not hide missing rules from the next start.
func TestRulesThatCannotBeCompared(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m := newManager(t)
	t.Cleanup(func() { m.mustRemove(t, Default) })
	m.attachTo(t, Connection{Publish: []string{"8001:80"}})
	sh(t, "iptables -t nat -F MYDOCKER-PUBLISH")
	isWhole := func(bridges func() ([]firewall.Bridge, error)) bool { return firewall.New(m.dir).IsWhole(bridges) }
	if !isWhole(func() ([]firewall.Bridge, error) { return nil, errors.New("a fault of the test") }) {
		t.Error("rules that cannot be read count as missing")
	}
	if isWhole(m.upRules) {
		t.Error("the flushed rules count as whole")
	}
	if err := m.reload(context.Background()); err != nil {
		t.Error(err)
	}
	if !isWhole(m.upRules) {
		t.Error("the reloaded rules count as missing")
	}
}

// An attach that fails while its ports are being published leaves no rules.
func TestAttachThatFailed(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m := newManager(t)
	t.Cleanup(func() { m.mustRemove(t, Default) })
	m.attachTo(t, Connection{})
	// The undo waits for the lock of the first try to publish, and must not come before the second.
	failTool(t, 1, "iptables-nft-restore", "-A.*8001")
	runTool(t, "iptables-nft-restore", "! grep -q -e '-A.*8001' $batch || sleep 0.5")
	temp := filepath.Join(m.dir.Run, "names", state.TempPrefix+"members") // a directory there keeps the list from being written
	if err := os.MkdirAll(filepath.Join(temp, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := m.tryAttach(Connection{Publish: []string{"8001:80"}})
	if err == nil {
		t.Errorf("attached %s", c.id)
	}
	time.Sleep(2 * time.Second)
	if rules := sh(t, "iptables-save -t nat 2>/dev/null | grep 8001 || true"); rules != "" {
		t.Errorf("left: %s", rules)
	}
	if marks, _ := os.ReadDir(filepath.Join(m.dir.Run, "published")); len(marks) > 0 {
		t.Errorf("left: %v", marks)
	}
	if err := os.RemoveAll(temp); err != nil {
		t.Fatal(err)
	}
}
