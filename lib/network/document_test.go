package network

import (
	"testing"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// The sysctls are relaxed in the container's own namespace only, and the document's values stay.
func TestRelaxSysctls(t *testing.T) {
	const ports, pings = "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"
	for _, tt := range []struct {
		name, mode   string
		change       func(*spec.Spec)
		ports, pings string
	}{
		{"a bridge", state.ModeBridge, nil, "0", "0 2147483647"},
		{"none", state.ModeNone, nil, "0", "0 2147483647"},
		{"the host's", state.ModeHost, nil, "", ""},
		{"another container's", state.ModeContainer + "0123456789ab", nil, "", ""},
		{"at a path", state.ModePath + "/run/netns/x", nil, "", ""},
		{"set by the user", state.ModeBridge, func(s *spec.Spec) { s.Linux.Sysctl = map[string]string{ports: "1024"} }, "1024", "0 2147483647"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := spec.New("0123456789ab")
			if tt.change != nil {
				tt.change(s)
			}
			describe(s, state.Net{Mode: tt.mode}, "/run/netns/own")
			if got := s.LinuxPart().Sysctl; got[ports] != tt.ports || got[pings] != tt.pings {
				t.Errorf("%v", got)
			}
		})
	}
}
