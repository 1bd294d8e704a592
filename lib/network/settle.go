package network

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// What one command changes at a time has a lock with a file that goes with its holder ([state.Dir.LeftLocks]).
const (
	connectionsLock = "net-"     // and the id of a container: its connections
	networkLock     = "network-" // and the name of a network: that it is there
	detachLock      = "detach-"  // and an id: a command of its own releases its connections, and not a hook
)

// lockNetwork takes the locks for making or removing a network.
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

// Settle brings to an end what the holder of a lock was at when it was killed. ours says that the lock is one of
// this package.
func (m *Manager) Settle(ctx context.Context, lock string) (ours bool, err error) {
	if name, ok := strings.CutPrefix(lock, networkLock); ok && checkName(name) == nil {
		unlock, err := m.lockNetwork(name) // which settles it
		if err == nil {
			unlock()
		}
		return true, err
	}
	if id, ok := strings.CutPrefix(lock, connectionsLock); ok && state.IsID(id) {
		unlock, err := m.lockContainer(ctx, id) // the same
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

// DetachAlone is [Manager.Detach] for a command of its own.
func (m *Manager) DetachAlone(ctx context.Context, id string) error {
	if err := state.CheckID(id); err != nil {
		return err
	}
	done, err := m.dir.LockObject(detachLock + id)
	if err != nil {
		return err
	}
	defer done()
	n, _ := m.dir.ReadNet(id) // a torn one is of no other
	err = m.Detach(ctx, id)
	if n.NetNS != "" && err == nil { // no hook, whose caller would have the container's lock
		m.dir.Release(id)
	}
	return err
}

// SettleAll settles all networks and connections, where no lock tells which: after a reboot.
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
	ids, err := m.dir.IDs()
	errs = append(errs, err)
	for _, id := range ids {
		_, statErr := os.Lstat(m.tempNet(id))
		if n, err := m.dir.ReadNet(id); statErr == nil || err == nil && n.Joining != "" {
			errs = append(errs, m.change(ctx, id, m.settleConnections))
		}
	}
	return errors.Join(errs...)
}

func (m *Manager) tempNet(id string) string {
	return filepath.Join(m.dir.Bundle(id), state.TempPrefix+state.NetFile)
}

// settleNetwork removes a network that was not finished, or not wholly removed. It wants the network's lock.
func (m *Manager) settleNetwork(name string) error {
	if _, err := os.Stat(m.networkPath(name)); !errors.Is(err, fs.ErrNotExist) || len(m.users(name)) > 0 {
		state.RemoveTemps(m.path(name))
		state.RemoveTemps(m.leases(name))
		return err
	}
	return os.RemoveAll(m.path(name))
}

// lockContainer takes the lock on a container's connections.
func (m *Manager) lockContainer(ctx context.Context, id string) (unlock func(), err error) {
	return m.dir.LockAndSettle(connectionsLock+id, func() error {
		n, err := m.dir.ReadNet(id)
		if err != nil {
			return nil // a torn file is for those who need it to tell of
		}
		return m.settleConnections(context.WithoutCancel(ctx), id, n)
	})
}

// settleConnections takes a container from the network that it was being connected to, or taken from. It wants the lock on
// its connections.
func (m *Manager) settleConnections(ctx context.Context, id string, n state.Net) error {
	_ = os.Remove(m.tempNet(id))
	if n.Joining == "" || state.CheckName("network", n.Joining) != nil {
		return nil
	}
	if i := endpointOf(n, n.Joining); i >= 0 {
		return m.disconnect(ctx, id, n, i)
	}
	if err := m.leaveNames(id, n.Joining); err != nil {
		return err
	}
	if err := m.dropJoining(id, n); err != nil {
		return err
	}
	if !m.isUp(id, n) {
		n.Joining = ""
		return m.writeNet(id, n)
	}
	if err := m.retract(ctx, id, n); err != nil {
		return err
	}
	return m.leadAgain(ctx, id, n)
}
