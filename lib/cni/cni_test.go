package cni

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestPorts(t *testing.T) {
	for capabilities, want := range map[string]string{
		`{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"TCP"}]}`:                    "8080->80/tcp",
		`{"portMappings":[{"hostPort":53,"containerPort":53,"protocol":"udp","hostIP":"127.0.0.1"}]}`: "127.0.0.1:53->53/udp",
		`{"portMappings":[{"hostPort":0,"containerPort":80}]}`:                                        "!portMappings: port 0",
		`{"portMappings":[{"hostPort":80,"containerPort":65536}]}`:                                    "!portMappings: port 65536",
		`{"portMappings":[{"hostPort":80,"containerPort":80,"protocol":"x"}]}`:                        `!portMappings: protocol "x"`,
		`{"portMappings":[{"hostPort":80,"containerPort":80,"hostIP":"localhost"}]}`:                  "!portMappings: hostIP",
		`{"aliases":{"x":1}}`: "",
	} {
		var c Config
		if err := json.Unmarshal([]byte(capabilities), &c.Runtime); err != nil {
			t.Fatal(err)
		}
		ports, err := c.Ports()
		var words []string
		for _, p := range ports {
			words = append(words, p.String())
		}
		got := strings.Join(words, " ")
		if refused, ok := strings.CutPrefix(want, "!"); ok && (err == nil || !strings.HasPrefix(err.Error(), refused)) || !ok && (err != nil || got != want) {
			t.Errorf("%s: got %s, %v; want %s", capabilities, got, err, want)
		}
	}
}

func TestArgs(t *testing.T) {
	var c Config
	if err := c.readArgs("IgnoreUnknown=1;IP=10.1.2.3;X=;MAC=02:00:00:00:00:07"); err != nil {
		t.Fatal(err)
	}
	if err := c.readArgs("IP=10.9.9.9;MAC=x"); err != nil { // the first value stays
		t.Fatal(err)
	}
	if got := c.Runtime; !slices.Equal(got.IPs, []string{"10.1.2.3"}) || got.MAC != "02:00:00:00:00:07" {
		t.Errorf("%+v", got)
	}
}

// The id is the same at each call, and differs between attachments.
func TestID(t *testing.T) {
	seen := make(map[string]string)
	for _, names := range [][3]string{
		{"net", "id", "eth0"}, {"net", "id", "eth1"}, {"net2", "id", "eth0"}, {"net", strings.Repeat("a", 64), "eth0"}, {"net", "id.eth", "0"},
	} {
		var c Call
		c.Names.Network, c.Names.ContainerID, c.Names.IfName = names[0], names[1], names[2]
		if other, ok := seen[c.ID()]; ok || len(c.ID()) != 12 || c.ID() != c.ID() {
			t.Errorf("%v and %s: %s", names, other, c.ID())
		}
		seen[c.ID()] = fmt.Sprint(names)
	}
}

// A call is refused, or its configuration can be used.
func FuzzCNI(f *testing.F) {
	for _, conf := range []string{
		"", "{}", "null", `{"cniVersion":"1.1.0","name":"n1","type":"md-net"}`,
		`{"cniVersion":"0.4.0","name":"n1","prevResult":{"interfaces":[{}],"ips":[{"interface":-1}]},"runtimeConfig":{"ips":["1.2.3.4/33"]}}`,
		`{"cniVersion":"1.1.0","name":"n1","cni.dev/valid-attachments":[{"containerID":"x"}],"prevResult":null,"dns":7,"subnet":"10.0.0.0/8"}`,
	} {
		for _, command := range []string{Add, Del, Check, GC, Version, "x"} {
			f.Add(command, conf, "c1", "eth0")
		}
	}
	f.Fuzz(func(t *testing.T, command, conf, id, ifName string) {
		env := map[string]string{"CNI_COMMAND": command, "CNI_CONTAINERID": id, "CNI_IFNAME": ifName, "CNI_NETNS": "/no/such"}
		getenv := func(key string) string { return env[key] }
		c, err := Read(getenv, strings.NewReader(conf), func(Config) error { return nil })
		if err != nil {
			return
		}
		previous, err := c.Config.Previous()
		if err != nil {
			return
		}
		if err := WriteJSON(io.Discard, previous); err != nil {
			t.Errorf("prevResult cannot be passed on: %v", err)
		}
		if _, err := c.Config.Ports(); err == nil && c.Command == Add {
			t.Error("ADD was accepted without a namespace")
		}
	})
}
