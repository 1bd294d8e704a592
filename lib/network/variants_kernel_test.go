package network

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/firewall"
)

// variants runs a test with both variants of iptables, with the FORWARD policies DROP and ACCEPT, and with and without
// br_netfilter.
func variants(t *testing.T, test func(t *testing.T)) {
	runVariants(t, test, []kindOfHost{
		{"nft", "DROP", "1", ""}, {"nft", "ACCEPT", "0", ""}, {"legacy", "DROP", "0", ""}, {"legacy", "ACCEPT", "1", ""},
	})
}

// besideDocker runs a test with a docker daemon on the same host.
func besideDocker(t *testing.T, test func(t *testing.T)) {
	runVariants(t, test, []kindOfHost{{"nft", "DROP", "1", "docker"}, {"legacy", "DROP", "1", "docker"}})
}

type kindOfHost struct{ kind, policy, bridgeCall, beside string }

func runVariants(t *testing.T, test func(t *testing.T), variants []kindOfHost) {
	requireKernel(t)
	for _, v := range variants {
		t.Run(v.kind+"-"+v.policy+"-"+v.bridgeCall+v.beside, func(t *testing.T) {
			tools := t.TempDir()
			for _, tool := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
				path, err := firewall.FindTool(strings.Replace(tool, "tables", "tables-"+v.kind, 1))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(path, filepath.Join(tools, tool)); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
			for _, call := range []string{"iptables", "ip6tables"} {
				if err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+call, []byte(v.bridgeCall), 0o644); err != nil {
					t.Logf("bridged frames never come to this kernel's firewall: %v", err)
				}
			}
			sh(t, "iptables -P FORWARD %[1]s; ip6tables -P FORWARD %[1]s", v.policy)
			t.Cleanup(func() { sh(t, "iptables -P FORWARD ACCEPT; ip6tables -P FORWARD ACCEPT") })
			if v.beside == "docker" {
				startDocker(t)
			}
			test(t)
		})
	}
}

// startDocker starts a docker daemon in the test's namespaces, with its bridge, its rules and br_netfilter. At the end of the
// test it stops, and what it leaves is removed.
func startDocker(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "docker") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "sh", "-ec", fmt.Sprintf(`mount -t tmpfs run /run
exec dockerd --data-root %[1]s/data --exec-root %[1]s/exec --pidfile %[1]s/pid -H unix://%[1]s/sock --storage-driver vfs`, dir))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		out.Close()
		os.RemoveAll(dir)
		sh(t, `ip link del docker0
for t in filter nat raw; do iptables -t $t -F; iptables -t $t -X; done`)
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		text, _ := os.ReadFile(log)
		if strings.Contains(string(text), "API listen on") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("docker does not start:\n%s", text)
		}
	}
	if rules := sh(t, "iptables-save"); !strings.Contains(rules, ":FORWARD DROP") || !strings.Contains(rules, "DOCKER") {
		t.Fatalf("docker has no rules:\n%s", rules)
	}
}
