package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/firewall"
	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// The kernel tests change links and rules. So the test program executes itself in new namespaces, which stand for the host.

const envInside = "MYDOCKER_TEST_INSIDE"

func TestMain(m *testing.M) {
	switch {
	case os.Geteuid() != 0:
		os.Exit(m.Run())
	case os.Getenv(envInside) == "":
		os.Exit(runInside())
	}
	if err := link.Here().SetLoopbackUp(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func runInside() int {
	tools, err := os.MkdirTemp("", "tools")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(tools)
	// The stages look it up for their hooks.
	if err := os.WriteFile(filepath.Join(tools, "md-net"), []byte("#!/bin/false\n"), 0o700); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), envInside+"=1", "PATH="+tools+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// requireKernel skips a test without root or the firewall tools. With MYDOCKER_MUST_RUN it fails the test.
func requireKernel(t *testing.T) {
	t.Helper()
	missing := ""
	if os.Geteuid() != 0 {
		missing = "root"
	}
	for _, tool := range []string{"iptables-nft", "iptables-legacy", "ip", "nsenter", "dockerd"} {
		if _, err := firewall.FindTool(tool); err != nil {
			missing = tool
		}
	}
	switch {
	case missing == "":
	case os.Getenv("MYDOCKER_MUST_RUN") != "":
		t.Fatalf("want %s", missing)
	default:
		t.Skipf("want %s", missing)
	}
}

// sh runs a shell script.
func sh(t *testing.T, format string, args ...any) string {
	t.Helper()
	script := fmt.Sprintf(format, args...)
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// otherHost connects a namespace that stands for another host, 198.51.100.2 and 2001:db8::2, to this one,
// 198.51.100.1 and 2001:db8::1, and returns its path.
func otherHost(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "other")
	if err := linux.NewNetNS(path, link.Here().SetLoopbackUp); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sh(t, "ip link del uplink")
		if err := linux.RemoveNetNS(path); err != nil {
			t.Error(err)
		}
	})
	sh(t, `ip link add uplink type veth peer name eth0 netns %[1]s
ip addr add 198.51.100.1/24 dev uplink
ip link set uplink up
ip route add default via 198.51.100.2
nsenter --net=%[1]s ip addr add 198.51.100.2/24 dev eth0
ip addr add 2001:db8::1/64 dev uplink nodad
ip route add default via 2001:db8::2
nsenter --net=%[1]s ip addr add 2001:db8::2/64 dev eth0 nodad
nsenter --net=%[1]s ip link set eth0 up`, path)
	return path
}

// checkLeftovers fails the test if it leaves a link, address, route or rule. Call it first, so that it runs after all other
// cleanups.
func checkLeftovers(t *testing.T) {
	t.Helper()
	before := leftovers(t)
	t.Cleanup(func() {
		after := leftovers(t)
		for _, line := range before {
			if !slices.Contains(after, line) {
				t.Errorf("missing: %s", line)
			}
		}
		for _, line := range after {
			if !slices.Contains(before, line) {
				t.Errorf("left behind: %s", line)
			}
		}
	})
}

func leftovers(t *testing.T) []string {
	t.Helper()
	lines := strings.Split(sh(t, "ip -o link show | cut -d@ -f1 | cut -d: -f2; ip -o addr | cut -c4-; ip route show table all"), "\n")
	for _, save := range []string{"iptables-nft-save", "iptables-legacy-save", "ip6tables-nft-save", "ip6tables-legacy-save"} {
		if _, err := firewall.FindTool(save); err != nil {
			continue
		}
		for line := range strings.Lines(sh(t, "%s 2>/dev/null", save)) {
			if strings.HasPrefix(line, "-A") || strings.HasPrefix(line, ":") && strings.Contains(line, " - ") {
				lines = append(lines, save+": "+strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// attached is an attached container. The test releases it at its end.
type attached struct {
	id   string
	spec *spec.Spec
	path string // of its namespace
	addr netip.Addr
}

func (m *Manager) attachTo(t *testing.T, o Connection) attached {
	t.Helper()
	c, err := m.tryAttach(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Release(context.Background(), c.id); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (m *Manager) tryAttach(o Connection) (attached, error) {
	s := spec.New(state.NewID())
	if err := m.Attach(Options{Connection: o})(context.Background(), s); err != nil {
		return attached{}, err
	}
	n, err := m.dir.ReadNet(s.ID())
	c := attached{id: s.ID(), spec: s}
	if ns, ok := s.Namespace("network"); ok {
		c.path = ns.Path
	}
	if len(n.Endpoints) > 0 {
		c.addr = n.Endpoints[0].Address.Addr()
	}
	return c, err
}

// serve starts a server in the namespace at path that answers with the address of the client.
func serve(t *testing.T, path, protocol, address string) {
	t.Helper()
	err := inside(path, func() error {
		if protocol == "udp" {
			conn, err := net.ListenPacket("udp", address)
			if err != nil {
				return err
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				buf := make([]byte, 100)
				for {
					_, from, err := conn.ReadFrom(buf)
					if err != nil {
						return
					}
					conn.WriteTo([]byte(from.String()), from)
				}
			}()
			return nil
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(conn, conn.RemoteAddr())
				conn.Close()
			}
		}()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// patience is the longest time for an answer. A lost packet is sent again after a second.
const patience = 1300 * time.Millisecond

// ask connects to a server from the namespace at path, and returns the client address that the server saw.
func ask(path, protocol, address string) (saw string, err error) {
	err = inside(path, func() error {
		conn, err := net.DialTimeout(protocol, address, patience)
		if err != nil {
			return err
		}
		defer conn.Close()
		buf := make([]byte, 100)
		n := 0
		for end := time.Now().Add(patience); n == 0 && time.Now().Before(end); {
			conn.SetDeadline(time.Now().Add(400 * time.Millisecond))
			if protocol == "udp" { // a datagram may be lost
				if _, err := conn.Write([]byte("?")); err != nil {
					return err
				}
			}
			if n, err = conn.Read(buf); errors.Is(err, syscall.ECONNREFUSED) {
				return err
			}
		}
		if err != nil {
			return err
		}
		saw, _, err = net.SplitHostPort(string(buf[:n]))
		saw = strings.TrimPrefix(saw, "::ffff:")
		return err
	})
	return saw, err
}

// inside runs f in the namespace at path, "" for the test's own.
func inside(path string, f func() error) error {
	if path == "" {
		return f()
	}
	return linux.InNetNS(path, f)
}

func (m *Manager) mustCreate(t *testing.T, name string, o CreateOptions) {
	t.Helper()
	if err := m.Create(context.Background(), name, o); err != nil {
		t.Fatal(err)
	}
}

// reservedPorts returns the number of reserved ranges of ports.
func (m *Manager) reservedPorts() int {
	entries, _ := os.ReadDir(m.ports.Dir)
	return len(entries)
}
