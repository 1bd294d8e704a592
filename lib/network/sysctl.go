package network

import "github.com/weikeit/mydocker/lib/spec"

// relaxSysctls lets every user of the container bind low ports and send pings, where the document does not say
// otherwise. In a namespace of its own that is nobody else's business, and docker does so.
func relaxSysctls(s *spec.Spec, mode string) {
	if !ownsNamespace(mode) {
		return
	}
	open := map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
	l := s.LinuxPart()
	if l.Sysctl == nil {
		l.Sysctl = make(map[string]string, len(open))
	}
	for key, value := range open {
		if _, said := l.Sysctl[key]; !said {
			l.Sysctl[key] = value
		}
	}
}
