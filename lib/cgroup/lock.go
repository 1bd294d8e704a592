package cgroup

import (
	"context"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// groupLock and an id name the lock of a command that creates or removes a cgroup without owning a container
// ([state.Dir.LeftLocks]).
const groupLock = "group-"

// DeleteStandalone is [Manager.Delete] for a command that does not own the container: it takes the cgroup's lock.
func (m *Manager) DeleteStandalone(ctx context.Context, id string) error {
	unlock, err := m.lockGroup(id)
	if err != nil {
		return err
	}
	defer unlock()
	return m.Delete(ctx, id)
}

// lockGroup locks cgroup id. If the last holder of the lock was killed, it removes the cgroup first.
func (m *Manager) lockGroup(id string) (unlock func(), err error) {
	if err := state.CheckID(id); err != nil {
		return nil, err
	}
	return m.dir.LockAndSettle(groupLock+id, func() error {
		// The container's lock is not taken: a poststop hook may run this while its caller holds that lock.
		if m.busy(id) || m.dir.Extent(id) == state.Active {
			return nil
		}
		return m.Delete(context.Background(), id)
	})
}

// busy reports whether the cgroup has processes.
func (m *Manager) busy(id string) bool {
	g, err := m.Open(id)
	if err != nil || !g.Exists() {
		return false
	}
	pids, err := g.Procs()
	return err == nil && len(pids) > 0
}

// Busy reports whether a lock is that of a cgroup with processes. Its holder must wait for them to exit.
func (m *Manager) Busy(lock string) bool {
	id, ours := strings.CutPrefix(lock, groupLock)
	return ours && state.IsID(id) && m.busy(id)
}

// Settle removes the cgroup that the holder of a lock was creating or removing when it was killed. ours reports whether
// the lock belongs to this package.
func (m *Manager) Settle(lock string) (ours bool, err error) {
	id, ours := strings.CutPrefix(lock, groupLock)
	if !ours || !state.IsID(id) {
		return false, nil
	}
	unlock, err := m.lockGroup(id) // removes the cgroup
	if err == nil {
		unlock()
	}
	return true, err
}
