package cgroup

import (
	"context"
	"strings"

	"github.com/weikeit/mydocker/lib/state"
)

// groupLock and an id are the lock of a command that makes or removes a group by itself, without a container that any
// process has in its hands ([state.Dir.LeftLocks]).
const groupLock = "group-"

// DeleteAlone is [Manager.Delete] for a command of its own.
func (m *Manager) DeleteAlone(ctx context.Context, id string) error {
	unlock, err := m.lockGroup(id)
	if err != nil {
		return err
	}
	defer unlock()
	return m.Delete(ctx, id)
}

func (m *Manager) lockGroup(id string) (unlock func(), err error) {
	if err := state.CheckID(id); err != nil {
		return nil, err
	}
	return m.dir.LockAndSettle(groupLock+id, func() error {
		// Without the container's lock: a hook of one whose lock is taken comes here, too.
		if m.busy(id) || m.dir.Extent(id) == state.Active {
			return nil
		}
		return m.Delete(context.Background(), id)
	})
}

// busy reports whether processes are in the group.
func (m *Manager) busy(id string) bool {
	g, err := m.Open(id)
	if err != nil || !g.Exists() {
		return false
	}
	pids, err := g.Procs()
	return err == nil && len(pids) > 0
}

// Busy reports whether a lock is that of a group in which processes run, of which its holder had to wait for the end.
func (m *Manager) Busy(lock string) bool {
	id, ours := strings.CutPrefix(lock, groupLock)
	return ours && state.IsID(id) && m.busy(id)
}

// Settle removes the group that the holder of a lock was making or removing when it was killed. ours says that the lock is one of this package.
func (m *Manager) Settle(lock string) (ours bool, err error) {
	id, ours := strings.CutPrefix(lock, groupLock)
	if !ours || !state.IsID(id) {
		return false, nil
	}
	unlock, err := m.lockGroup(id) // which removes it
	if err == nil {
		unlock()
	}
	return true, err
}
