package network

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// environment returns the parameters of a call: words such as CNI_IFNAME=eth0.
func environment(words ...string) func(string) string {
	return func(key string) string {
		for _, word := range words {
			if k, v, _ := strings.Cut(word, "="); k == key {
				return v
			}
		}
		return ""
	}
}

type cniAnswer struct {
	Version    string           `json:"cniVersion"`
	Code       int              `json:"code"`
	Msg        string           `json:"msg"`
	Interfaces []cniInterface   `json:"interfaces"`
	IPs        []cniIP          `json:"ips"`
	Routes     []map[string]any `json:"routes"`
	DNS        map[string]any   `json:"dns"`
	Supported  []string         `json:"supportedVersions"`
	text       string
}

// callCNI makes one call of the plugin, and fails the test where the exit code and the answer differ.
func (m *Manager) callCNI(t *testing.T, conf string, words ...string) cniAnswer {
	t.Helper()
	var out strings.Builder
	exit := m.CNI(context.Background(), environment(words...), strings.NewReader(conf), &out)
	answer := cniAnswer{text: out.String()}
	if out.Len() > 0 {
		if err := json.Unmarshal([]byte(out.String()), &answer); err != nil {
			t.Fatalf("%v: %s", err, &out)
		}
	}
	if (exit != 0) != (answer.Code != 0) || exit > 1 {
		t.Fatalf("exit %d: %s", exit, &out)
	}
	return answer
}

func TestCNIVersion(t *testing.T) {
	m := newManager(t)
	for conf, want := range map[string]string{`{"cniVersion":"1.0.0"}`: "1.0.0", "": "1.1.0", `{"cniVersion":"9.9.9"}`: "9.9.9"} {
		got := m.callCNI(t, conf, "CNI_COMMAND=VERSION")
		if got.Version != want || strings.Join(got.Supported, " ") != "0.3.0 0.3.1 0.4.0 1.0.0 1.1.0" {
			t.Errorf("%q: %s", conf, got.text)
		}
	}
}

func TestCNIRefusals(t *testing.T) {
	m := newManager(t)
	all := []string{"CNI_CONTAINERID=c.1", "CNI_IFNAME=eth0"}
	with := func(command string, words ...string) []string {
		return append(append([]string{"CNI_COMMAND=" + command}, words...), all...)
	}
	conf := func(rest string) string { return `{"cniVersion":"1.1.0","name":"net1","type":"md-net"` + rest + `}` }
	for _, c := range []struct {
		env  []string
		conf string
		code int
		msg  string
	}{
		{with("FROB"), conf(""), 4, `CNI_COMMAND "FROB"`},
		{with("DEL"), "", 6, "unexpected end of JSON input"},
		{with("DEL"), `{"name":[]}`, 6, "cannot unmarshal"},
		{with("DEL"), `[]`, 6, "cannot unmarshal"},
		{with("DEL"), strings.Repeat(" ", maxConfig+1), 7, "longer than 1048576 bytes"},
		{with("DEL"), `{"cniVersion":"0.2.0","name":"net1"}`, 1, `cniVersion "0.2.0": want one of 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0`},
		{with("DEL"), `{"cniVersion":"2.0.0","name":"net1"}`, 1, `cniVersion "2.0.0"`},
		{with("DEL"), `{"name":"net1"}`, 1, `cniVersion ""`},
		{with("CHECK"), `{"cniVersion":"0.3.1","name":"net1"}`, 1, "CHECK is there since 0.4.0"},
		{with("GC"), `{"cniVersion":"1.0.0","name":"net1"}`, 1, "GC is there since 1.1.0"},
		{with("STATUS"), `{"cniVersion":"1.0.0","name":"net1"}`, 1, "STATUS is there since 1.1.0"},
		{with("DEL"), `{"cniVersion":"1.1.0"}`, 7, `name ""`},
		{with("DEL"), `{"cniVersion":"1.1.0","name":"../x"}`, 7, `name "../x"`},
		{with("DEL"), conf(`,"network":"../x"`), 7, `network name "../x"`},
		{with("DEL"), conf(`,"network":"host"`), 7, "network name host"},
		{with("DEL"), conf(`,"subnet":"10.1.2.3/24"`), 7, "did you mean 10.1.2.0/24"},
		{with("DEL"), conf(`,"ipam":{"type":"host-local"}`), 2, `ipam {"type":"host-local"}`},
		{[]string{"CNI_COMMAND=DEL", "CNI_CONTAINERID=../x", "CNI_IFNAME=a b"}, conf(""), 4, `CNI_CONTAINERID "../x": want letters, digits, _ . -, a letter or digit first; CNI_IFNAME "a b"`},
		{[]string{"CNI_COMMAND=DEL"}, conf(""), 4, `CNI_CONTAINERID "": want letters`},
		{[]string{"CNI_COMMAND=DEL", "CNI_CONTAINERID=x", "CNI_IFNAME=.."}, conf(""), 4, `CNI_IFNAME ".."`},
		{[]string{"CNI_COMMAND=DEL", "CNI_CONTAINERID=x", "CNI_IFNAME=a234567890123456"}, conf(""), 4, `CNI_IFNAME "a2`},
		{with("ADD"), conf(""), 4, "CNI_NETNS: missing"},
		{with("ADD", "CNI_ARGS=IP"), conf(""), 4, `CNI_NETNS: missing; CNI_ARGS "IP": want KEY=VALUE`},
		{with("ADD", "CNI_NETNS=/no/such"), conf(""), 4, "CNI_NETNS: open /no/such: no such file or directory"},
		{with("ADD", "CNI_NETNS=/etc/passwd"), conf(""), 4, "CNI_NETNS: /etc/passwd is not a network namespace"},
		{with("ADD", "CNI_NETNS=/proc/self/ns/net"), conf(""), 4, "CNI_NETNS: /proc/self/ns/net is this host's own network"},
	} {
		got := m.callCNI(t, c.conf, c.env...)
		if got.Code != c.code || !strings.Contains(got.Msg, c.msg) {
			t.Errorf("%s %.80s: got %d %s; want %d %s", c.env[0], c.conf, got.Code, got.Msg, c.code, c.msg)
		}
	}
	var out strings.Builder
	if exit := m.CNI(context.Background(), environment("CNI_COMMAND=DEL"), brokenReader{}, &out); exit != 1 || !strings.Contains(out.String(), `"code": 5`) {
		t.Error(exit, out.String())
	}
	if files := m.files(t); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestCNIWishes(t *testing.T) {
	for rc, want := range map[string]string{
		`{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"TCP"}]}`:                            "8080->80/tcp",
		`{"portMappings":[{"hostPort":53,"containerPort":53,"protocol":"udp","hostIP":"127.0.0.1"}]}`:         "127.0.0.1:53->53/udp",
		`{"portMappings":[{"hostPort":1,"containerPort":2}],"ips":["10.1.2.3/24"],"mac":"02:00:00:00:00:07"}`: "1->2/tcp 10.1.2.3 02:00:00:00:00:07",
		`{"aliases":{"x":1}}`: "",
		`{"portMappings":[{"hostPort":0,"containerPort":80}]}`:                       "!portMappings: 0 is no port",
		`{"portMappings":[{"hostPort":80,"containerPort":65536}]}`:                   "!portMappings: 65536 is no port",
		`{"portMappings":[{"hostPort":80,"containerPort":80,"protocol":"x"}]}`:       `!portMappings: protocol "x"`,
		`{"portMappings":[{"hostPort":80,"containerPort":80,"hostIP":"localhost"}]}`: "!portMappings: hostIP",
		`{"ips":["10.1.2.3","10.1.2.4"]}`:                                            "!ips",
		`{"ips":["x"]}`:                                                              "!ips",
		`{"mac":"01:00:00:00:00:01"}`:                                                "!mac",
		`{"mac":"00:00:00:00:00:00"}`:                                                "!mac",
		`{"mac":"02:00:00:00:00:00:00:01"}`:                                          "!mac",
	} {
		var c cniConfig
		if err := json.Unmarshal([]byte(rc), &c.Runtime); err != nil {
			t.Fatal(err)
		}
		ports, w, err := c.endpointOptions()
		var words []string
		for _, p := range ports {
			words = append(words, formatPort(p))
		}
		if w.address.IsValid() {
			words = append(words, w.address.String())
		}
		if w.mac != nil {
			words = append(words, w.mac.String())
		}
		got := strings.Join(words, " ")
		if err != nil {
			got = "!" + err.Error()
		}
		if refused, ok := strings.CutPrefix(want, "!"); ok && (err == nil || !strings.HasPrefix(err.Error(), refused)) || !ok && got != want {
			t.Errorf("%s: got %s, want %s", rc, got, want)
		}
	}
}

func TestCNIArgs(t *testing.T) {
	var c cniConfig
	if err := c.readArgs("IgnoreUnknown=1;IP=10.1.2.3;X=;MAC=02:00:00:00:00:07"); err != nil {
		t.Fatal(err)
	}
	if err := c.readArgs("IP=10.9.9.9;MAC=x"); err != nil { // capabilities come first
		t.Fatal(err)
	}
	_, w, err := c.endpointOptions()
	if err != nil || w.address.String() != "10.1.2.3" || w.mac.String() != "02:00:00:00:00:07" {
		t.Errorf("%+v %v", w, err)
	}
}

// Ids of other programs become ours: always the same, and never another's.
func TestCNIID(t *testing.T) {
	seen := make(map[string]string)
	for _, names := range [][3]string{
		{"net", "id", "eth0"}, {"net", "id", "eth1"}, {"net2", "id", "eth0"}, {"net", strings.Repeat("a", 64), "eth0"}, {"net", "id.eth", "0"},
	} {
		var c call
		c.names.Network, c.names.ContainerID, c.names.IfName = names[0], names[1], names[2]
		if other, ok := seen[c.id()]; ok || len(c.id()) != 12 || c.id() != c.id() {
			t.Errorf("%v and %s: %s", names, other, c.id())
		}
		seen[c.id()] = fmt.Sprint(names)
	}
}

// Whatever a runtime writes, the plugin answers with one JSON document and touches nothing.
func FuzzCNI(f *testing.F) {
	for _, conf := range []string{
		"", "{}", "null", `{"cniVersion":"1.1.0","name":"n1","type":"md-net"}`,
		`{"cniVersion":"0.4.0","name":"n1","prevResult":{"interfaces":[{}],"ips":[{"interface":-1}]},"runtimeConfig":{"ips":["1.2.3.4/33"]}}`,
		`{"cniVersion":"1.1.0","name":"n1","cni.dev/valid-attachments":[{"containerID":"x"}],"prevResult":null,"dns":7,"subnet":"10.0.0.0/8"}`,
	} {
		for _, command := range []string{cniAdd, cniDel, cniCheck, cniGC, cniVersion, "x"} {
			f.Add(command, conf, "c1", "eth0")
		}
	}
	f.Fuzz(func(t *testing.T, command, conf, id, ifName string) {
		env := environment("CNI_COMMAND="+command, "CNI_CONTAINERID="+id, "CNI_IFNAME="+ifName, "CNI_NETNS=/no/such")
		c, err := readCall(env, strings.NewReader(conf))
		if err != nil {
			return
		}
		previous, err := c.conf.previous()
		if err != nil {
			return
		}
		if err := writeJSON(io.Discard, previous); err != nil {
			t.Errorf("prevResult cannot be passed on: %v", err)
		}
		if _, _, err := c.conf.endpointOptions(); err == nil && c.command == cniAdd {
			t.Error("ADD got by without a namespace")
		}
	})
}
