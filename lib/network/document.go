package network

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// setNamespace sets the path of the network namespace, or removes the namespace in the mode host.
func setNamespace(s *spec.Spec, mode, path string) {
	if mode == state.ModeHost {
		s.RemoveNamespace(specs.NetworkNamespace)
		return
	}
	s.SetNamespace(specs.NetworkNamespace, path)
}

// relaxSysctls lets every user of the container bind low ports and send pings, unless the document sets these sysctls. It
// affects only the container's own namespace. Docker does the same.
func relaxSysctls(s *spec.Spec) {
	relaxed := map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
	l := s.LinuxPart()
	if l.Sysctl == nil {
		l.Sysctl = make(map[string]string, len(relaxed))
	}
	for key, value := range relaxed {
		if _, set := l.Sysctl[key]; !set {
			l.Sysctl[key] = value
		}
	}
}
