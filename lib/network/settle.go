package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// Prefixes of lock files. A lock file that remains without its holder tells that the holder was killed
// ([state.Dir.OrphanedLocks]).
const (
	connectionsLock = "net-"     // with a container's id: its connections
	networkLock     = "network-" // with a network's name: creation and removal
	detachLock      = "detach-"  // with an id: a detach command that is not a hook
)

// lockNetwork takes the locks for creating or removing a network.
func (m *Manager) lockNetwork(name string) (unlock func(), err error) {
	left := false
	done, err := m.dir.LockAndSettle(networkLock+name, func() error { left = true; return nil })
	if err != nil {
		return nil, err
	}
	free, err := m.lock()
	if err == nil && left {
		if err = m.settleNetwork(name); err != nil {
			free()
		}
	}
	if err != nil {
		done()
		return nil, err
	}
	return func() { free(); done() }, nil
}

// Settle finishes or undoes what the killed holder of a lock was doing. ours is false for locks of other packages.
func (m *Manager) Settle(ctx context.Context, lock string) (ours bool, err error) {
	if name, ok := strings.CutPrefix(lock, networkLock); ok && checkName(name) == nil {
		unlock, err := m.lockNetwork(name) // settles it
		if err == nil {
			unlock()
		}
		return true, err
	}
	if id, ok := strings.CutPrefix(lock, connectionsLock); ok && state.IsID(id) {
		unlock, err := m.lockContainer(ctx, id) // settles them
		if err == nil {
			unlock()
		}
		return true, err
	}
	if id, ok := strings.CutPrefix(lock, detachLock); ok && state.IsID(id) {
		err := m.dir.IfUnowned(id, func() error { return m.Detach(ctx, id) })
		return true, errors.Join(err, m.dir.DropLock(lock))
	}
	return false, nil
}

// DetachAlone is [Manager.Detach] for a command that is not a hook.
func (m *Manager) DetachAlone(ctx context.Context, id string) error {
	if err := state.CheckID(id); err != nil {
		return err
	}
	done, err := m.dir.LockObject(detachLock + id)
	if err != nil {
		return err
	}
	defer done()
	n, _ := m.dir.ReadNet(id) // a torn record is treated as a container's
	err = m.Detach(ctx, id)
	if n.NetNS != "" && err == nil { // a hook's caller would own the container
		m.dir.Release(id)
	}
	return err
}

// SettleAll settles all networks and connections. After a reboot there are no locks that tell which need it.
func (m *Manager) SettleAll(ctx context.Context) error {
	entries, err := os.ReadDir(m.dir.Networks())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	errs := []error{err}
	for _, e := range entries {
		if checkName(e.Name()) != nil {
			continue
		}
		unlock, err := m.lockNetwork(e.Name())
		if err == nil {
			err = m.settleNetwork(e.Name())
			unlock()
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, m.settleAllConnections(ctx))...)
}

// settleAllConnections settles the connections of all containers whose records say that one has not finished.
func (m *Manager) settleAllConnections(ctx context.Context) error {
	ids, err := m.dir.IDs()
	errs := []error{err}
	for _, id := range ids {
		_, statErr := os.Lstat(m.tempNet(id))
		if n, err := m.dir.ReadNet(id); statErr == nil || err == nil && n.Joining != "" {
			errs = append(errs, m.change(ctx, id, m.settleConnections))
		}
	}
	return errors.Join(errs...)
}

// settleNetwork removes a network whose creation or removal was killed. The caller holds the network's lock.
func (m *Manager) settleNetwork(name string) error {
	if _, err := os.Stat(m.networkPath(name)); !errors.Is(err, fs.ErrNotExist) || len(m.users(name)) > 0 {
		state.RemoveTemps(m.path(name))
		state.RemoveTemps(m.leases(name))
		return err
	}
	return os.RemoveAll(m.path(name))
}

// lockContainer checks a container's id and takes the lock on its connections.
func (m *Manager) lockContainer(ctx context.Context, id string) (unlock func(), err error) {
	if err := state.CheckID(id); err != nil {
		return nil, err
	}
	return m.dir.LockAndSettle(connectionsLock+id, func() error {
		n, err := m.dir.ReadNet(id)
		if err != nil {
			return nil // callers that need the record report it
		}
		return m.settleConnections(context.WithoutCancel(ctx), id, n)
	})
}

// settled settles what a connect or disconnect that failed has left, and returns the record as it is then. Only callers that
// connect or disconnect need it: a container whose ports cannot be published must still be stopped, renamed and removed.
func (m *Manager) settled(ctx context.Context, id string, n state.Net) (state.Net, error) {
	if n.Joining == "" {
		return n, nil
	}
	if err := m.settleConnections(context.WithoutCancel(ctx), id, n); err != nil {
		return n, fmt.Errorf("network %s: complete the change that failed before: %w", n.Joining, err)
	}
	return m.dir.ReadNet(id)
}

// settleConnections removes a container from the network of a connect or disconnect that was killed or has failed. The caller
// holds the lock on its connections.
func (m *Manager) settleConnections(ctx context.Context, id string, n state.Net) error {
	_ = os.Remove(m.tempNet(id))
	if n.Joining == "" || state.CheckName("network", n.Joining) != nil {
		return nil
	}
	if i := n.EndpointIn(n.Joining); i >= 0 {
		return m.disconnect(ctx, id, n, i)
	}
	if err := m.hosts.Leave(n.Joining, id); err != nil {
		return err
	}
	if err := m.freeJoining(id, n); err != nil {
		return err
	}
	if !m.isUp(id, n) {
		n.Joining = ""
		return m.writeNet(id, n)
	}
	if err := m.withdraw(ctx, id, n); err != nil {
		return err
	}
	return m.moveOutlet(ctx, id, n)
}
