package network

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/cni"
	"github.com/weikeit/mydocker/lib/linux"
)

func TestCNI(t *testing.T) {
	requireKernel(t)
	for _, version := range cni.SupportedVersions() {
		t.Run(version, func(t *testing.T) {
			m := newManager(t)
			m.checkClean(t)
			t.Cleanup(func() { m.mustRemove(t, "cninet") })
			path := newNamespace(t)
			conf := func(rest string) string {
				return fmt.Sprintf(`{"cniVersion":%q,"name":"cninet","type":"md-net","subnet":"10.79.0.0/24","dns":{"nameservers":["10.79.0.1"]}%s}`, version, rest)
			}
			env := func(command string) []string {
				return []string{"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + strings.Repeat("f0", 32), "CNI_IFNAME=eth0", "CNI_NETNS=" + path}
			}
			t.Cleanup(func() { m.callCNI(t, conf(""), env("DEL")...) })
			serve(t, path, "tcp", ":80")
			for range 2 {
				got := m.callCNI(t, conf(`,"runtimeConfig":{"portMappings":[{"hostPort":8001,"containerPort":80,"protocol":"tcp"}],"ips":["10.79.0.7/24"],"mac":"02:00:00:00:00:07"}`), env("ADD")...)
				checkResult(t, got, version, path)
				if saw, err := ask("", "tcp", "127.0.0.1:8001"); err != nil {
					t.Error(saw, err)
				}
				if again := m.callCNI(t, conf(""), env("ADD")...); !strings.Contains(again.Msg, "has an interface eth0 already") {
					t.Error(again.text)
				}
				if version >= "0.4.0" {
					m.checkCheck(t, conf, env("CHECK"), got, path)
				}
				for range 2 {
					if got := m.callCNI(t, conf(`,"prevResult":`+got.text), env("DEL")...); got.text != "" {
						t.Error(got.text)
					}
				}
			}
			if version >= "0.4.0" {
				if got := m.callCNI(t, conf(`,"prevResult":{}`), env("CHECK")...); got.Code != 3 {
					t.Errorf("CHECK of a missing attachment: %s", got.text)
				}
			}
			if got := m.callCNI(t, conf(""), env("DEL")[:3]...); got.text != "" { // without a namespace
				t.Error(got.text)
			}
		})
	}
}

func checkResult(t *testing.T, got cniAnswer, version, path string) {
	t.Helper()
	if got.Version != version || len(got.Interfaces) != 3 || len(got.IPs) != 1 || len(got.Routes) != 1 {
		t.Fatal(got.text)
	}
	inside, ip := got.Interfaces[2], got.IPs[0]
	if inside.Name != "eth0" || inside.Sandbox != path || inside.MAC != "02:00:00:00:00:07" || got.Interfaces[0].Name != "cninet" || got.Interfaces[1].Sandbox != "" {
		t.Errorf("%+v", got.Interfaces)
	}
	if (inside.MTU != 0) != (version >= "1.1.0") || (ip.Version == "4") != (version < "1.0.0") {
		t.Errorf("not as in %s: %s", version, got.text)
	}
	if *ip.Interface != 2 || ip.Address.String() != "10.79.0.7/24" || ip.Gateway.String() != "10.79.0.1" {
		t.Errorf("%+v", ip)
	}
	if got.Routes[0]["dst"] != "0.0.0.0/0" || got.Routes[0]["gw"] != "10.79.0.1" || fmt.Sprint(got.DNS["nameservers"]) != "[10.79.0.1]" {
		t.Error(got.text)
	}
}

// checkCheck expects CHECK to succeed, and to report each kind of damage.
func (m *Manager) checkCheck(t *testing.T, conf func(string) string, env []string, result cniAnswer, path string) {
	t.Helper()
	with := conf(`,"prevResult":` + result.text)
	if got := m.callCNI(t, with, env...); got.text != "" {
		t.Error(got.text)
	}
	if got := m.callCNI(t, conf(""), env...); got.Code != cni.CodeBadConfig {
		t.Errorf("without prevResult: %s", got.text)
	}
	other := strings.ReplaceAll(with, "10.79.0.7", "10.79.0.8")
	if got := m.callCNI(t, other, env...); !strings.Contains(got.Msg, "prevResult does not have the address 10.79.0.7/24 on eth0") {
		t.Errorf("another result: %s", got.text)
	}
	veth := result.Interfaces[1].Name
	for _, c := range []struct{ spoil, mend, want string }{
		{"nsenter --net=" + path + " ip addr del 10.79.0.7/24 dev eth0", "nsenter --net=" + path + " ip addr add 10.79.0.7/24 brd + dev eth0", "lacks the address 10.79.0.7/24"},
		{"nsenter --net=" + path + " ip link set eth0 down", "nsenter --net=" + path + " ip link set eth0 up; nsenter --net=" + path + " ip route add default via 10.79.0.1", "link eth0 is down"},
		{"ip link set " + veth + " nomaster", "ip link set " + veth + " master cninet", "is not connected to bridge cninet"},
		{"iptables-save -t nat | grep -e --dport > $0.x; iptables -t nat -D $(cut -c4- $0.x | tr -d '\"')", "iptables -t nat $(cat $0.x | tr -d '\"'); rm $0.x", "the firewall has 0 rules for them, not 1"},
	} {
		file := filepath.Join(t.TempDir(), "rules")
		sh(t, "%s", strings.ReplaceAll(c.spoil, "$0", file))
		if got := m.callCNI(t, with, env...); got.Code != cni.CodeFailed || !strings.Contains(got.Msg, c.want) {
			t.Errorf("%s: %s", c.spoil, got.text)
		}
		sh(t, "%s", strings.ReplaceAll(c.mend, "$0", file))
		if got := m.callCNI(t, with, env...); got.text != "" {
			t.Errorf("after %s: %s", c.mend, got.text)
		}
	}
}

// The results of earlier plugins are passed on with unknown keys, before ours.
func TestCNIPrevResult(t *testing.T) {
	requireKernel(t)
	m := newManager(t)
	m.checkClean(t)
	path := newNamespace(t)
	conf := `{"cniVersion":"1.0.0","name":"mydocker0","type":"md-net","prevResult":{"cniVersion":"1.0.0","other":{"x":[1]},` +
		`"dns":{"domain":"example"},"interfaces":[{"name":"dummy0","sandbox":"/x","odd":true}],"ips":[{"address":"fd00::2/64","interface":0}]}}`
	env := []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=c1", "CNI_IFNAME=net1", "CNI_NETNS=" + path}
	got := m.callCNI(t, conf, env...)
	if len(got.Interfaces) != 4 || len(got.IPs) != 2 || *got.IPs[0].Interface != 0 || *got.IPs[1].Interface != 3 || got.Interfaces[3].Name != "net1" {
		t.Error(got.text)
	}
	if !strings.Contains(got.text, `"other"`) || !strings.Contains(got.text, `"odd": true`) || got.DNS["domain"] != "example" {
		t.Errorf("a part of prevResult is lost: %s", got.text)
	}
	env[0] = "CNI_COMMAND=DEL"
	m.callCNI(t, conf, env...)
	bad := strings.Replace(conf, `[{"name":"dummy0"`, `{"a":[{"name":"dummy0"`, 1)
	bad = strings.Replace(bad, `true}]`, `true}]}`, 1)
	env[0] = "CNI_COMMAND=ADD"
	if got := m.callCNI(t, bad, env...); got.Code != cni.CodeDecode {
		t.Error(got.text)
	}
}

func TestCNIGC(t *testing.T) {
	requireKernel(t)
	m := newManager(t)
	m.checkClean(t)
	t.Cleanup(func() { m.mustRemove(t, "gcnet") })
	conf := func(name, rest string) string {
		return fmt.Sprintf(`{"cniVersion":"1.1.0","name":%q,"type":"md-net"%s}`, name, rest)
	}
	paths := make(map[string]string)
	call := func(command, network, id string) {
		t.Helper()
		if got := m.callCNI(t, conf(network, ""), "CNI_COMMAND="+command, "CNI_CONTAINERID="+id, "CNI_IFNAME=eth0", "CNI_NETNS="+paths[id]); got.Code != 0 {
			t.Fatal(got.text)
		}
	}
	for id, network := range map[string]string{"a": "gcnet", "b": "gcnet", "c": "gcnet", "d": Default} {
		paths[id] = newNamespace(t)
		call("ADD", network, id)
	}
	counts := func(want string) {
		t.Helper()
		var got []string
		for _, name := range []string{"gcnet", Default} {
			n, _ := m.Inspect(name)
			got = append(got, fmt.Sprint(n.Counts))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("counts %s, want %s", got, want)
		}
	}
	gc := func(rest string) {
		t.Helper()
		for range 2 {
			if got := m.callCNI(t, conf("gcnet", rest), "CNI_COMMAND=GC"); got.text != "" {
				t.Error(got.text)
			}
		}
	}
	counts("3 1")
	gc("") // without a list: only namespaces that are gone
	counts("3 1")
	if err := linux.RemoveNetNS(paths["c"]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c goes", func() bool { n, _ := m.Inspect("gcnet"); return n.Counts == 2 })
	gc("")
	if dirs, _ := os.ReadDir(m.dir.Containers()); len(dirs) != 3 {
		t.Errorf("%d records, want 3", len(dirs))
	}
	gc(`,"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"},{"containerID":"b","ifname":"eth1"}]`)
	counts("1 1")
	gc(`,"cni.dev/valid-attachments":[]`)
	counts("0 1") // other networks stay
	call("DEL", Default, "d")
}

func TestCNIStatus(t *testing.T) {
	requireKernel(t)
	m := newManager(t)
	m.checkClean(t)
	conf := `{"cniVersion":"1.1.0","name":"stnet","type":"md-net","subnet":"10.79.0.0/30"}`
	status := func() cniAnswer { t.Helper(); return m.callCNI(t, conf, "CNI_COMMAND=STATUS") }
	if got := status(); got.text != "" {
		t.Error(got.text)
	}
	path := newNamespace(t)
	env := []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=c1", "CNI_IFNAME=eth0", "CNI_NETNS=" + path}
	t.Cleanup(func() { m.mustRemove(t, "stnet") })
	if got := m.callCNI(t, conf, env...); got.Code != 0 {
		t.Fatal(got.text)
	}
	if got := status(); got.Code != 50 || !strings.Contains(got.Msg, "no free address") {
		t.Error(got.text)
	}
	env[0] = "CNI_COMMAND=DEL"
	m.callCNI(t, conf, env...)
	if got := status(); got.text != "" {
		t.Error(got.text)
	}
	if got := m.callCNI(t, strings.Replace(conf, "/30", "/29", 1), append([]string{"CNI_COMMAND=ADD"}, env[1:]...)...); got.Code != 7 {
		t.Errorf("another subnet: %s", got.text)
	}
}
