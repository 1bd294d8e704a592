package rootfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Sweep settles what commands that were killed were at.
func (m *Manager) Sweep(ctx context.Context) {
	locks, err := m.dir.OrphanedLocks()
	for _, lock := range locks {
		_, settled := m.Settle(ctx, lock)
		err = errors.Join(err, settled)
	}
	if err != nil {
		m.Warn("clean up after volumes: %v", err)
	}
}

// Settle brings to an end what the holder of a lock was at when it was killed: making, filling or removing a volume,
// or releasing a root. ours
// says that the lock is one of this package.
func (m *Manager) Settle(ctx context.Context, lock string) (ours bool, err error) {
	if id, ok := strings.CutPrefix(lock, umountLock); ok && state.IsID(id) {
		err := m.dir.IfUnowned(id, func() error { return m.Unmount(ctx, id) })
		return true, errors.Join(err, m.dir.DropLock(lock))
	}
	name, ours := strings.CutPrefix(lock, volumeLock)
	if !ours || state.CheckName("volume", name) != nil {
		return false, nil
	}
	unlock, err := m.lockVolume(name) // which settles it
	if err == nil {
		unlock()
	}
	return true, err
}

// SettleAll settles all volumes, where no lock tells which: after a reboot.
func (m *Manager) SettleAll() error {
	entries, err := os.ReadDir(m.dir.Volumes())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	errs := []error{err}
	for _, e := range entries {
		name, gone := strings.CutPrefix(e.Name(), state.TempPrefix)
		if !gone && !m.unfinished(name) && !hasTemps(m.volumeDir(name)) || m.inUse(name) {
			continue
		}
		unlock, err := m.lockVolume(name)
		if err == nil {
			err = m.settleVolume(name)
			unlock()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// settleVolume wants the volume's lock.
func (m *Manager) settleVolume(name string) error {
	if m.unfinished(name) {
		return errors.Join(linux.RemoveAll(m.volumeDir(name)), linux.RemoveAll(m.goneVolume(name)))
	}
	state.RemoveTemps(m.volumeDir(name))
	return linux.RemoveAll(m.goneVolume(name))
}

// SettleVolumesOf removes what was being written about the volumes of container id, by one that had its lock.
func (m *Manager) SettleVolumesOf(id string) error {
	record, err := ReadRecord(m.dir, id)
	for _, v := range record.Volumes {
		if v.Anonymous && state.CheckName("volume", v.Name) == nil {
			state.RemoveTemps(m.volumeDir(v.Name))
		}
	}
	return err
}

// inUse reports whether a volume is that of a container that is being made, or runs: anonymous ones have no lock.
func (m *Manager) inUse(name string) bool {
	users, err := m.volumeUsers()
	return err != nil || slices.ContainsFunc(users[name], func(id string) bool { return m.dir.Extent(id) == state.Active })
}

func hasTemps(dir string) bool {
	paths, err := filepath.Glob(filepath.Join(dir, state.TempPrefix+"*"))
	return len(paths) > 0 && err == nil
}

// unfinished reports whether a volume does not say what it is, and has nothing in it.
func (m *Manager) unfinished(name string) bool {
	_, err := os.Lstat(filepath.Join(m.volumeDir(name), volumeFile))
	return errors.Is(err, fs.ErrNotExist) && emptyDir(m.volumeData(name))
}
