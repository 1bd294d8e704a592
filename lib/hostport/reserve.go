package hostport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// Reservations is a directory with one file for each range of reserved host ports: tcp-8036-8036-any holds the container's
// id. The names alone tell which ports are reserved. The caller holds the network lock for every change, so that two
// containers that start at once cannot reserve the same port.
//
// The monitor of a running container keeps the ports bound against other programs ([Hold]). Without a monitor, as for the
// namespace of another program, a port is only checked when it is reserved.
type Reservations struct{ Dir string }

// In returns the reservations of a state directory.
func In(dir state.Dir) Reservations { return Reservations{filepath.Join(dir.Run, "ports")} }

// firstRandomPort is the first of the dynamic ports (RFC 6335, section 6), of which free ones are chosen.
const firstRandomPort = 49152

// Evict removes the firewall rules of a container that has a reservation but is gone. For a container that exists it
// returns the name.
type Evict func(holder string) (name string, err error)

// Reserve reserves the ports for container id, and chooses those that are 0. It reserves all or none. The reservations of
// containers that are gone are evicted.
func (r Reservations) Reserve(ports []state.Port, id string, evict Evict) error {
	taken := r.list()
	for rest := ports; len(rest) > 0; {
		n := runLength(rest)
		if rest[0].HostPort == 0 {
			if err := choosePorts(rest[:n], ports, taken); err != nil {
				return err
			}
		}
		rest = rest[n:]
	}
	wanted := Ranges(ports)
	for i, w := range wanted {
		if err := r.check(w, wanted[:i], taken, evict); err != nil {
			return fmt.Errorf("publish %d/%s: %w", w.Container, w.Protocol, err)
		}
	}
	for _, w := range wanted {
		if err := state.Claim(r.path(w), id); err != nil {
			return errors.Join(err, r.Release(ports, id))
		}
	}
	return nil
}

// Release releases the ports of container id. It is idempotent.
func (r Reservations) Release(ports []state.Port, id string) error {
	var errs []error
	for _, p := range Ranges(ports) {
		errs = append(errs, state.Release(r.path(p), id))
	}
	r.RemoveIfEmpty()
	return errors.Join(errs...)
}

// ReleaseAll releases every port of container id, for a container whose record is lost.
func (r Reservations) ReleaseAll(id string) error {
	err := state.ReleaseAll(r.Dir, id)
	r.RemoveIfEmpty()
	return err
}

// RemoveIfEmpty removes the directory if it is empty.
func (r Reservations) RemoveIfEmpty() { _ = os.Remove(r.Dir) }

// Has reports whether container id has reserved one of the ports. If not, there are no rules for them.
func (r Reservations) Has(ports []state.Port, id string) bool {
	return slices.ContainsFunc(Ranges(ports), func(p Range) bool { return state.Holder(r.path(p)) == id })
}

// HasAny reports whether container id has reserved any port.
func (r Reservations) HasAny(id string) bool {
	return slices.ContainsFunc(r.list(), func(p Range) bool { return state.Holder(r.path(p)) == id })
}

// runLength returns how many ports at the start of a list are consecutive in the container and have no host port yet. They
// get consecutive host ports, so that one rule serves them. It is at least 1.
func runLength(ports []state.Port) int {
	n := 1
	for ; n < len(ports); n++ {
		p, last := ports[n], ports[n-1]
		if last.HostPort != 0 || p.HostPort != 0 || p.Protocol != last.Protocol || p.HostIP != last.HostIP || p.ContainerPort != last.ContainerPort+1 {
			break
		}
	}
	return n
}

// choosePorts chooses free consecutive host ports.
func choosePorts(ports, own []state.Port, taken []Range) error {
	const most = 65536 - firstRandomPort
	span := most - len(ports) + 1
	if span > 0 {
		start := rand.IntN(span)
		taken = append(Ranges(own), taken...)
		for i := range span {
			first := firstRandomPort + (start+i)%span
			if areFree(ports, uint16(first), taken) {
				for j := range ports {
					ports[j].HostPort = uint16(first + j)
				}
				return nil
			}
		}
	}
	return fmt.Errorf("publish %d/%s: no %d consecutive free ports on this host from %d on", ports[0].ContainerPort, ports[0].Protocol, len(ports), firstRandomPort)
}

// areFree reports whether as many host ports from first on are free.
func areFree(ports []state.Port, first uint16, taken []Range) bool {
	p := ports[0]
	r := Range{p.HostIP, first, first + uint16(len(ports)-1), p.ContainerPort, p.Protocol}
	if slices.ContainsFunc(taken, r.overlaps) {
		return false
	}
	for j := range ports {
		if Check(p.HostIP, first+uint16(j), p.Protocol) != nil {
			return false
		}
	}
	return true
}

// check returns an error if a port of a range is in use: by the container itself, another container, or a program.
func (r Reservations) check(wanted Range, own, taken []Range, evict Evict) error {
	for _, o := range own {
		if wanted.overlaps(o) {
			return fmt.Errorf("port %d is published twice", max(wanted.First, o.First))
		}
	}
	for _, o := range taken {
		if !wanted.overlaps(o) {
			continue
		}
		holder := state.Holder(r.path(o))
		name, err := evict(holder)
		if err != nil {
			return err
		}
		if name != "" {
			return fmt.Errorf("port %d is taken by container %s", max(wanted.First, o.First), name)
		}
		if err := state.Release(r.path(o), holder); err != nil {
			return err
		}
	}
	for port := int(wanted.First); port <= int(wanted.Last); port++ {
		if err := Check(wanted.HostIP, uint16(port), wanted.Protocol); err != nil {
			return err
		}
	}
	return nil
}

// list returns all reserved ranges.
func (r Reservations) list() []Range {
	entries, _ := os.ReadDir(r.Dir) // missing if nothing is reserved
	var list []Range
	for _, e := range entries {
		if p, ok := parseName(e.Name()); ok {
			list = append(list, p)
		}
	}
	return list
}

func (r Reservations) path(p Range) string {
	ip := "any"
	if p.HostIP.IsValid() {
		ip = p.HostIP.String()
	}
	return filepath.Join(r.Dir, fmt.Sprintf("%s-%d-%d-%s", p.Protocol, p.First, p.Last, ip))
}

// parseName reads the name of a reservation's file, which does not have the container's ports.
func parseName(name string) (Range, bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 4 {
		return Range{}, false
	}
	first, err1 := parseNumber(parts[1])
	last, err2 := parseNumber(parts[2])
	ip, err3 := netip.ParseAddr(parts[3])
	if parts[3] == "any" {
		err3 = nil
	}
	return Range{HostIP: ip, First: first, Last: last, Protocol: parts[0]}, errors.Join(err1, err2, err3) == nil
}
