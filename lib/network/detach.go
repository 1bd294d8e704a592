package network

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Down removes what does not outlive the container's process: links, namespace, rules. The leases and net.json stay. It is
// idempotent.
func (m *Manager) Down(ctx context.Context, id string) error {
	return m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
		_ = os.Remove(m.tempNet(id)) // of a killed connect
		return m.unplugAll(ctx, id, n)
	})
}

// Release removes all of a container's connections. It is idempotent.
func (m *Manager) Release(ctx context.Context, id string) error {
	return m.change(ctx, id, m.forget)
}

// Detach is called after the end of a container's process. It is [Manager.Down] for a kept container, and
// [Manager.Release] for others.
func (m *Manager) Detach(ctx context.Context, id string) error {
	if m.dir.Kept(id) {
		return m.Down(ctx, id)
	}
	return m.Release(ctx, id)
}

// change calls do with a container's record under the lock on its connections.
func (m *Manager) change(ctx context.Context, id string, do func(context.Context, string, state.Net) error) error {
	unlock, err := m.lockContainer(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	n, err := m.dir.ReadNet(id)
	if err != nil {
		n = state.Net{} // a torn record: what the container has is found by its id
	}
	return do(ctx, id, n)
}

// unplugAll removes what plugIn has made. Deleting the links takes longest, so everything else runs in parallel.
func (m *Manager) unplugAll(ctx context.Context, id string, n state.Net) error {
	unplugged := inBackground(func() error { return errors.Join(m.deleteLinks(n.Endpoints), link.ForgetAddresses(n.Addresses()...)) })
	unpublished := inBackground(func() error { return m.unpublish(ctx, id, n) })
	errs := []error{m.hosts.Remove(id, n), linux.RemoveNetNS(m.dir.NetNS(id)), unpublished(), unplugged()}
	if n.Mode == "" { // the record is lost or torn; the links went with the namespace
		errs = append(errs, m.unpublishUnknown(ctx, id))
	}
	return errors.Join(errs...)
}

// deleteLinks deletes the links of endpoints.
func (m *Manager) deleteLinks(endpoints []state.Endpoint) error {
	if len(endpoints) == 0 {
		return nil
	}
	host, err := m.host()
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range endpoints {
		errs = append(errs, host.Delete(e.HostLink))
	}
	return errors.Join(errs...)
}

// unpublish removes the rules of a container's ports and releases the ports. There are no rules without reserved ports. The
// ports stay reserved if removing the rules fails.
func (m *Manager) unpublish(ctx context.Context, id string, n state.Net) error {
	if len(n.Ports) == 0 {
		return nil
	}
	if !m.ports.Has(n.Ports, id) {
		m.ports.RemoveIfEmpty() // a killed release may have left the directories
		m.firewall.RemoveIfEmpty()
		return nil
	}
	if err := m.firewall.Unpublish(ctx, id, n); err != nil {
		return err
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return m.ports.Release(n.Ports, id)
}

// withdraw removes the rules of a container's ports, which stay reserved: the container's monitor keeps them bound in
// whatever network the container is.
func (m *Manager) withdraw(ctx context.Context, id string, n state.Net) error {
	if len(n.Ports) == 0 {
		return nil
	}
	return errors.Join(m.firewall.Unpublish(ctx, id, n), link.ForgetPublished(n))
}

// unpublishUnknown removes the rules and ports of a container whose record is lost.
func (m *Manager) unpublishUnknown(ctx context.Context, id string) error {
	if m.ports.HasAny(id) {
		if err := m.firewall.RemoveContainer(ctx, id); err != nil {
			return err
		}
	}
	err := m.ports.ReleaseAll(id)
	m.firewall.RemoveIfEmpty()
	return err
}

// forget removes everything about a container's connections. If a part cannot be removed, the record stays for the next
// try.
func (m *Manager) forget(ctx context.Context, id string, n state.Net) error {
	if err := m.unplugAll(ctx, id, n); err != nil {
		return err
	}
	errs := []error{m.freeJoining(id, n)}
	for _, e := range n.Endpoints {
		errs = append(errs, m.freeAll(e, id))
	}
	if n.Mode == "" || n.Mode == state.ModeBridge && len(n.Endpoints) == 0 {
		errs = append(errs, m.releaseUnknown(ctx, id)) // the record is lost, or its writer was killed before it wrote
	}
	errs = append(errs, os.RemoveAll(m.netPath(id))) // also removes a directory of that name
	_ = os.Remove(m.dir.Bundle(id))                  // fails while other tools have files in it
	return errors.Join(errs...)
}

// releaseUnknown releases every address and port of container id.
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
		errs = append(errs, m.freeUnknown(n.Name(), id), m.hosts.Leave(n.Name(), id))
	}
	return errors.Join(append(errs, m.unpublishUnknown(ctx, id))...)
}

func (m *Manager) tempNet(id string) string {
	return filepath.Join(m.dir.Bundle(id), state.TempPrefix+state.NetFile)
}

// freeJoining frees what a killed connect has leased for container id.
func (m *Manager) freeJoining(id string, n state.Net) error {
	if n.Joining == "" || n.EndpointIn(n.Joining) >= 0 || state.CheckName("network", n.Joining) != nil {
		return nil
	}
	return m.freeUnknown(n.Joining, id)
}

// freeAll frees the addresses of an endpoint.
func (m *Manager) freeAll(e state.Endpoint, id string) error {
	var errs []error
	for _, addr := range e.Addresses() {
		errs = append(errs, m.free(e.Network, addr.Addr(), id))
	}
	return errors.Join(errs...)
}
