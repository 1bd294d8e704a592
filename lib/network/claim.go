package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/state"
)

// A published range of ports is claimed by a file in the runtime directory, ports/tcp-8036-8036-any,
// that holds the container's id: the list of names alone tells what is taken. Claims are made and given
// back under the lock, so that two containers that start at once cannot get the same port. Against all other programs
// the process that stays with the container holds it, for as long as the container runs (package hostport); where none
// does, as with a namespace of another program, the port is only tried at the beginning.

// firstRandomPort starts the range from which ports are chosen (RFC 6335, section 6: dynamic ports).
const firstRandomPort = 49152

func (m *Manager) portDir() string { return filepath.Join(m.dir.Run, "ports") }

// claimPorts claims the ports for container id, and chooses those that are 0. Where one is taken, by
// another container or by any program of the host, nothing is claimed.
func (m *Manager) claimPorts(ctx context.Context, ports []state.Port, id string) error {
	if len(ports) == 0 {
		return nil
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	taken := m.claims()
	for rest := ports; len(rest) > 0; {
		n := runOf(rest)
		if rest[0].HostPort == 0 {
			if err := choosePorts(rest[:n], ports, taken); err != nil {
				return err
			}
		}
		rest = rest[n:]
	}
	wanted := ranges(ports)
	for i, r := range wanted {
		if err := m.checkRange(ctx, r, wanted[:i], taken); err != nil {
			return fmt.Errorf("publish %d/%s: %w", r.container, r.protocol, err)
		}
	}
	for _, r := range wanted {
		if err := state.Claim(m.claimPath(r), id); err != nil {
			return errors.Join(err, m.dropClaims(wanted, id))
		}
	}
	return nil
}

// releasePorts gives the ports of container id back. It is idempotent.
func (m *Manager) releasePorts(ports []state.Port, id string) error {
	if len(ports) == 0 {
		return nil
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return m.dropClaims(ranges(ports), id)
}

// releaseUnknown gives back whatever container id has claimed: addresses, and ports with their rules.
func (m *Manager) releaseUnknown(ctx context.Context, id string) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	networks, err := os.ReadDir(m.dir.Networks())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	errs := []error{err}
	for _, n := range networks {
		errs = append(errs, m.freeUnknown(n.Name(), id), m.leaveNames(id, n.Name()))
	}
	return errors.Join(append(errs, m.unpublishUnknown(ctx, id))...)
}

// unpublishUnknown takes away the ports of a container of which it is not known what they are.
func (m *Manager) unpublishUnknown(ctx context.Context, id string) error {
	var errs []error
	for _, r := range m.claims() {
		if state.Holder(m.claimPath(r)) == id {
			if err := m.uninstallRules(ctx, containerTag(id), true); err != nil {
				return err
			}
			errs = append(errs, m.unmark(id))
			break
		}
	}
	errs = append(errs, state.ReleaseAll(m.portDir(), id))
	_ = os.Remove(m.portDir()) // they stay while there are others
	_ = os.Remove(m.publishedDir())
	return errors.Join(errs...)
}

func (m *Manager) dropClaims(list []portRange, id string) error {
	var errs []error
	for _, r := range list {
		errs = append(errs, state.Release(m.claimPath(r), id))
	}
	_ = os.Remove(m.portDir()) // it stays while there are others
	return errors.Join(errs...)
}

// runOf returns how many ports at the start of a list follow each other in the container, and have no port of the
// host yet: they are to get ports that follow each other, too, so that they can share a rule. It is at least 1.
func runOf(ports []state.Port) int {
	n := 1
	for ; n < len(ports); n++ {
		p, last := ports[n], ports[n-1]
		if last.HostPort != 0 || p.HostPort != 0 || p.Protocol != last.Protocol || p.HostIP != last.HostIP || p.ContainerPort != last.ContainerPort+1 {
			break
		}
	}
	return n
}

// choosePorts gives the ports free ones of the host that follow each other.
func choosePorts(ports, own []state.Port, taken []portRange) error {
	const most = 65536 - firstRandomPort
	span := most - len(ports) + 1
	if span > 0 {
		start := rand.IntN(span)
		taken = append(ranges(own), taken...)
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
	return fmt.Errorf("publish %d/%s: no %d free ports on this host from %d on", ports[0].ContainerPort, ports[0].Protocol, len(ports), firstRandomPort)
}

// areFree reports whether the ports of the host from first on are free for those.
func areFree(ports []state.Port, first uint16, taken []portRange) bool {
	p := ports[0]
	r := portRange{p.HostIP, first, first + uint16(len(ports)-1), p.ContainerPort, p.Protocol}
	if slices.ContainsFunc(taken, r.overlaps) {
		return false
	}
	for j := range ports {
		if hostport.Check(p.HostIP, first+uint16(j), p.Protocol) != nil {
			return false
		}
	}
	return true
}

// checkRange returns an error where a port of r is taken: by the container itself, another container,
// or a program.
func (m *Manager) checkRange(ctx context.Context, r portRange, own, taken []portRange) error {
	for _, o := range own {
		if r.overlaps(o) {
			return fmt.Errorf("port %d is published twice", max(r.first, o.first))
		}
	}
	for _, o := range taken {
		if !r.overlaps(o) {
			continue
		}
		holder := state.Holder(m.claimPath(o))
		if !m.gone(holder) {
			return fmt.Errorf("port %d is taken by container %s", max(r.first, o.first), m.containerName(holder))
		}
		// It was removed without us. Its rule, which may be there still, would be met before the new one.
		err := m.uninstallRules(ctx, containerTag(holder), true)
		if err == nil {
			err = m.unmark(holder)
		}
		if err == nil {
			err = state.Release(m.claimPath(o), holder)
		}
		if err != nil {
			return err
		}
	}
	for port := int(r.first); port <= int(r.last); port++ {
		if err := hostport.Check(r.hostIP, uint16(port), r.protocol); err != nil {
			return err
		}
	}
	return nil
}

// claims returns all ranges that are claimed.
func (m *Manager) claims() []portRange {
	entries, _ := os.ReadDir(m.portDir()) // no claims, no directory
	var list []portRange
	for _, e := range entries {
		if r, ok := parseClaim(e.Name()); ok {
			list = append(list, r)
		}
	}
	return list
}

func (m *Manager) claimPath(r portRange) string {
	ip := "any"
	if r.hostIP.IsValid() {
		ip = r.hostIP.String()
	}
	return filepath.Join(m.portDir(), fmt.Sprintf("%s-%d-%d-%s", r.protocol, r.first, r.last, ip))
}

// parseClaim reads the name of a claim's file. What the container's port is does not stand there.
func parseClaim(name string) (portRange, bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 4 {
		return portRange{}, false
	}
	first, err1 := parseNumber(parts[1])
	last, err2 := parseNumber(parts[2])
	ip, err3 := netip.ParseAddr(parts[3])
	if parts[3] == "any" {
		err3 = nil
	}
	return portRange{hostIP: ip, first: first, last: last, protocol: parts[0]}, errors.Join(err1, err2, err3) == nil
}

// holdsPorts reports whether container id holds a claim on one of the ports: if so, rules may be there.
func (m *Manager) holdsPorts(ports []state.Port, id string) bool {
	for _, r := range ranges(ports) {
		if state.Holder(m.claimPath(r)) == id {
			return true
		}
	}
	return false
}
