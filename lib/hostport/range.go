package hostport

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// Range is a run of published ports that are consecutive on both sides: one firewall rule, one reservation.
type Range struct {
	HostIP      netip.Addr // zero: every address
	First, Last uint16     // on the host
	Container   uint16     // the container's port for First
	Protocol    string
}

// Ranges joins consecutive ports.
func Ranges(ports []state.Port) []Range {
	sorted := slices.SortedFunc(slices.Values(ports), func(a, b state.Port) int {
		return cmp.Or(strings.Compare(a.Protocol, b.Protocol), a.HostIP.Compare(b.HostIP), cmp.Compare(a.HostPort, b.HostPort))
	})
	var out []Range
	for _, p := range sorted {
		if n := len(out); n > 0 {
			r := &out[n-1]
			size := r.Last - r.First + 1
			if r.Protocol == p.Protocol && r.HostIP == p.HostIP && r.Last < 65535 && p.HostPort == r.Last+1 && p.ContainerPort == r.Container+size {
				r.Last++
				continue
			}
		}
		out = append(out, Range{p.HostIP, p.HostPort, p.HostPort, p.ContainerPort, p.Protocol})
	}
	return out
}

// overlaps reports whether the ranges share a port of the same address.
func (r Range) overlaps(o Range) bool {
	if r.Protocol != o.Protocol || r.Last < o.First || o.Last < r.First {
		return false
	}
	return covers(r.HostIP, o.HostIP) || covers(o.HostIP, r.HostIP)
}

// covers reports whether binding address a includes address b.
func covers(a, b netip.Addr) bool {
	return !a.IsValid() || a == b || a.IsUnspecified() && a.Is4() == b.Is4()
}
