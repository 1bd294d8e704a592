package network

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/cni"
)

// environment looks up the parameters of a call among words such as CNI_IFNAME=eth0.
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

type cniIP struct {
	Version   string       `json:"version"`
	Interface *int         `json:"interface"`
	Address   netip.Prefix `json:"address"`
	Gateway   netip.Addr   `json:"gateway"`
}

type cniAnswer struct {
	Version    string           `json:"cniVersion"`
	Code       int              `json:"code"`
	Msg        string           `json:"msg"`
	Interfaces []cni.Interface  `json:"interfaces"`
	IPs        []cniIP          `json:"ips"`
	Routes     []map[string]any `json:"routes"`
	DNS        map[string]any   `json:"dns"`
	Supported  []string         `json:"supportedVersions"`
	text       string
}

// callCNI calls the plugin. It fails the test if the exit code and the answer contradict each other.
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
		{with("DEL"), strings.Repeat(" ", 1<<20+1), 7, "longer than 1048576 bytes"},
		{with("DEL"), `{"cniVersion":"0.2.0","name":"net1"}`, 1, `cniVersion "0.2.0": want one of 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0`},
		{with("DEL"), `{"cniVersion":"2.0.0","name":"net1"}`, 1, `cniVersion "2.0.0"`},
		{with("DEL"), `{"name":"net1"}`, 1, `cniVersion ""`},
		{with("CHECK"), `{"cniVersion":"0.3.1","name":"net1"}`, 1, "CHECK needs 0.4.0"},
		{with("GC"), `{"cniVersion":"1.0.0","name":"net1"}`, 1, "GC needs 1.1.0"},
		{with("STATUS"), `{"cniVersion":"1.0.0","name":"net1"}`, 1, "STATUS needs 1.1.0"},
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
		{with("ADD", "CNI_NETNS=/proc/self/ns/net"), conf(""), 4, "CNI_NETNS: /proc/self/ns/net is the host's own network namespace"},
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

func TestCNIOptions(t *testing.T) {
	for capabilities, want := range map[string]string{
		`{"ips":["10.1.2.3/24"],"mac":"02:00:00:00:00:07"}`: "10.1.2.3 02:00:00:00:00:07",
		`{"aliases":{"x":1}}`:                               "invalid IP ",
		`{"ips":["10.1.2.3","10.1.2.4"]}`:                   "!ips",
		`{"ips":["x"]}`:                                     "!ips",
		`{"mac":"01:00:00:00:00:01"}`:                       "!mac",
		`{"mac":"00:00:00:00:00:00"}`:                       "!mac",
		`{"mac":"02:00:00:00:00:00:00:01"}`:                 "!mac",
	} {
		var c cni.Call
		if err := json.Unmarshal([]byte(capabilities), &c.Config.Runtime); err != nil {
			t.Fatal(err)
		}
		o, err := cniOptions(c)
		if refused, ok := strings.CutPrefix(want, "!"); ok {
			if err == nil || !strings.HasPrefix(err.Error(), refused) {
				t.Errorf("%s: %v, want an error about %s", capabilities, err, refused)
			}
		} else if got := fmt.Sprint(o.address, " ", o.mac); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", capabilities, got, err, want)
		}
	}
}
