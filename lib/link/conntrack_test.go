package link

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// The kernel's filter and our own one (for older kernels) delete the same flows.
func TestForget(t *testing.T) {
	if _, err := exec.LookPath("iptables"); err != nil || os.Geteuid() != 0 {
		if os.Getenv("MYDOCKER_MUST_RUN") != "" {
			t.Fatal("want root and iptables")
		}
		t.Skip("want root and iptables")
	}
	path := filepath.Join(t.TempDir(), "netns")
	t.Cleanup(func() {
		if err := linux.RemoveNetNS(path); err != nil {
			t.Error(err)
		}
	})
	err := linux.NewNetNS(path, func() error {
		if err := Here().SetLoopbackUp(); err != nil {
			return err
		}
		// A rule with a state makes the kernel track connections.
		if out, err := exec.Command("iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW").CombinedOutput(); err != nil {
			t.Errorf("%s", out)
			return err
		}
		for port, do := range map[string]func([]flow) error{"8011": forget, "8012": forgetByList} {
			checkForget(t, port, do)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkForget(t *testing.T, port string, do func([]flow) error) {
	table := func() string {
		data, err := os.ReadFile("/proc/thread-self/net/nf_conntrack")
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
	for _, p := range []string{port, "9001"} {
		conn, err := net.Dial("udp", "127.0.0.1:"+p)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("?"))
		conn.Close()
	}
	if !strings.Contains(table(), "dport="+port) {
		t.Errorf("no flow to delete in\n%s", table())
		return
	}
	number := map[string]uint16{"8011": 8011, "8012": 8012}[port]
	if err := do([]flow{{family: state.IPv4, protocol: syscall.IPPROTO_UDP, port: number}}); err != nil {
		t.Error(err)
	}
	if after := table(); strings.Contains(after, "dport="+port) || !strings.Contains(after, "dport=9001") {
		t.Errorf("port %s: the table is now\n%s", port, after)
	}
}
