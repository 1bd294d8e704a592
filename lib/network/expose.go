package network

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// expose adds the ports that the image exposes, as the document says them ("80/tcp,53/udp", see
// [spec.AnnotationExposed]), but for those that are published already: on free ports of the host.
func (p *plan) expose(exposed string) error {
	if p.mode != modeBridge {
		return fmt.Errorf("publish all ports: a container with --network %s has no ports of its own", p.mode)
	}
	if exposed == "" {
		return nil
	}
	for word := range strings.SplitSeq(exposed, ",") {
		ports, err := ParsePort(word)
		if err != nil {
			return fmt.Errorf("the image exposes %.80q: %w", word, err)
		}
		for _, port := range ports {
			if port.HostPort != 0 || port.HostIP.IsValid() {
				return fmt.Errorf("the image exposes %.80q: want a port of the container", word)
			}
			if !slices.ContainsFunc(p.ports, func(o state.Port) bool {
				return o.ContainerPort == port.ContainerPort && o.Protocol == port.Protocol
			}) {
				p.ports = append(p.ports, port)
			}
		}
	}
	return nil
}
