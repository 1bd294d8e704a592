package network

import (
	"testing"

	"github.com/weikeit/mydocker/lib/spec"
)

func TestOpenNamespace(t *testing.T) {
	const ports, pings = "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"
	for _, tt := range []struct {
		name, mode   string
		change       func(*spec.Spec)
		ports, pings string
	}{
		{"a bridge", modeBridge, nil, "0", "0 2147483647"},
		{"none", modeNone, nil, "0", "0 2147483647"},
		{"the host's", modeHost, nil, "", ""},
		{"another container's", modeContainer + "0123456789ab", nil, "", ""},
		{"a namespace of somebody's", modePath + "/run/netns/x", nil, "", ""},
		{"the user's word", modeBridge, func(s *spec.Spec) { s.Linux.Sysctl = map[string]string{ports: "1024"} }, "1024", "0 2147483647"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := spec.New("0123456789ab")
			if tt.change != nil {
				tt.change(s)
			}
			relaxSysctls(s, tt.mode)
			if got := s.Linux.Sysctl; got[ports] != tt.ports || got[pings] != tt.pings {
				t.Errorf("%v", got)
			}
		})
	}
}
