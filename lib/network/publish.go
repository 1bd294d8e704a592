package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/state"
)

// What is published is marked by a symbolic link in the runtime directory, published/ID, that leads to the number of rules
// of each family: by it they are counted, and put back, when somebody flushed the firewall. The mark comes after the rules
// and goes before them, under the lock.

const publishedForm = "%d:%d" // of IPv4 and of IPv6

func (m *Manager) publishedDir() string           { return filepath.Join(m.dir.Run, "published") }
func (m *Manager) publishedPath(id string) string { return filepath.Join(m.publishedDir(), id) }

// publish makes the rules of a container's ports, which are claimed and lead to its first addresses: one
// process a family.
func (m *Manager) publish(ctx context.Context, id string, n state.Net) error {
	if len(n.Ports) == 0 || outlet(n, ipv4) < 0 {
		return nil
	}
	err := m.tryPublish(ctx, id, n)
	if err != nil { // the chain may be gone with a flushed firewall, and a part of the rules may be there
		if err := errors.Join(m.uninstallRules(ctx, containerTag(id), true), m.unmark(id), m.reload(ctx)); err != nil {
			return err
		}
		err = m.tryPublish(ctx, id, n)
	}
	if err != nil {
		return err
	}
	return flushStale(n)
}

func (m *Manager) tryPublish(ctx context.Context, id string, n state.Net) error {
	unlock, err := m.lockFirewall()
	if err != nil {
		return err
	}
	defer unlock()
	err = m.families(outlet(n, ipv6) >= 0, func(f family, v variant) error {
		return v.restore(ctx, f, f.portRules(id, n))
	})
	if err != nil {
		return err
	}
	return m.mark(id, n)
}

func (m *Manager) mark(id string, n state.Net) error {
	if err := os.MkdirAll(filepath.Dir(m.publishedPath(id)), 0o700); err != nil {
		return err
	}
	counts := fmt.Sprintf(publishedForm, len(ipv4.portRules(id, n)), len(ipv6.portRules(id, n)))
	err := os.Symlink(counts, m.publishedPath(id))
	if errors.Is(err, fs.ErrExist) { // of a command that was killed
		if err := os.Remove(m.publishedPath(id)); err != nil {
			return err
		}
		return os.Symlink(counts, m.publishedPath(id))
	}
	return err
}

// portRules returns the rules of a family that publish the ports of container id.
func (f family) portRules(id string, n state.Net) []change {
	i := outlet(n, f)
	if i < 0 {
		return nil
	}
	return portRules(id, f.address(n.Endpoints[i]).Addr(), n.Ports)
}

// openPorts6 makes ports that are published on ::1, or on every address, answer there, when the links are made.
func (m *Manager) openPorts6(n state.Net) error {
	i := outlet(n, ipv6)
	if i < 0 || outlet(n, ipv4) < 0 {
		return nil
	}
	for _, p := range n.Ports {
		if p.HostIP.IsValid() && !p.HostIP.IsLoopback() && !p.HostIP.IsUnspecified() {
			continue
		}
		e := n.Endpoints[i]
		network, err := m.load(e.Network)
		if err != nil {
			return err
		}
		bridge, err := mustFindLink(network.Link)
		if err != nil {
			return err
		}
		return openLoopback6(bridge, e, network.gateway(e.Address6.Addr()))
	}
	return nil
}

// unpublish deletes the rules of a container's ports and gives them back. There are no rules without a
// claim on the ports, which is kept where deleting them fails.
func (m *Manager) unpublish(ctx context.Context, id string, n state.Net) error {
	if !m.holdsPorts(n.Ports, id) {
		m.dropEmptyDirs(n.Ports)
		return nil
	}
	if err := m.deleteRules(ctx, id, n); err != nil {
		return err
	}
	return m.releasePorts(n.Ports, id)
}

// retract deletes the rules of a container's ports, which stay its own: the process that stays with the container holds
// them as long as it runs, whatever network it is connected to.
func (m *Manager) retract(ctx context.Context, id string, n state.Net) error {
	if len(n.Ports) == 0 {
		return nil
	}
	return errors.Join(m.deleteRules(ctx, id, n), flushEnded(n))
}

// deleteRules deletes the rules of a container's ports.
func (m *Manager) deleteRules(ctx context.Context, id string, n state.Net) error {
	if err := m.tryUnpublish(ctx, id, n); err != nil {
		// Somebody flushed or changed them: look for what is left.
		if err := m.uninstallRules(ctx, containerTag(id), true); err != nil {
			return err
		}
	}
	return m.unmark(id)
}

// tryUnpublish deletes the rules of a container's ports: one process a family, where they are all there.
func (m *Manager) tryUnpublish(ctx context.Context, id string, n state.Net) error {
	return m.eachFamily(outlet(n, ipv6) >= 0, func(f family, v variant) error {
		if f == ipv4 {
			if err := m.unmark(id); err != nil {
				return err
			}
		}
		return v.restore(ctx, f, deletions(f.portRules(id, n)))
	})
}

// dropEmptyDirs removes what is left of a release that was killed between the last claim and its directory.
func (m *Manager) dropEmptyDirs(ports []state.Port) {
	if len(ports) > 0 {
		_ = os.Remove(m.portDir()) // they stay while there are others
		_ = os.Remove(m.publishedDir())
	}
}

func (m *Manager) unmark(id string) error {
	err := os.Remove(m.publishedPath(id))
	_ = os.Remove(filepath.Dir(m.publishedPath(id))) // it stays while there are others
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// checkReach refuses ports that would lead nowhere in the networks that a container is to be connected to.
func (m *Manager) checkReach(ports []state.Port, joins []join) error {
	if len(ports) == 0 {
		return nil
	}
	reach := make(map[family]bool)
	for _, j := range joins {
		n, err := m.load(j.network)
		if err != nil {
			return err
		}
		for _, f := range families {
			reach[f] = reach[f] || !n.Internal && len(n.subnets(f)) > 0
		}
	}
	for _, p := range ports {
		if !reach[ipv4] {
			return fmt.Errorf("publish %d/%s: network %s is internal", p.ContainerPort, p.Protocol, joins[0].network)
		}
		if p.HostIP.Is6() && !reach[ipv6] {
			return &no6Error{p, joins[0].network}
		}
	}
	return nil
}

// no6Error says that a port was to be published on an IPv6 address, and nothing there has one.
type no6Error struct {
	port    state.Port
	network string
}

func (e *no6Error) Error() string {
	return fmt.Sprintf("publish %d/%s on %s: the container has no IPv6 address", e.port.ContainerPort, e.port.Protocol, e.port.HostIP)
}

// Hint tells the user what to do.
func (e *no6Error) Hint() string {
	return "connect it to a network that was made with --ipv6: " + e.network + " has IPv4 alone"
}
