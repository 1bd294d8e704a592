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

// Sweep settles the operations of killed commands.
func (m *Manager) Sweep(ctx context.Context) {
	locks, err := m.dir.OrphanedLocks()
	for _, lock := range locks {
		_, settleErr := m.Settle(ctx, lock)
		err = errors.Join(err, settleErr)
	}
	if err != nil {
		m.Warn("settle interrupted volume operations: %v", err)
	}
}

// Settle finishes or reverts the operation whose lock a killed process left: creating, filling or removing a volume, or
// releasing a root. ours reports whether the lock belongs to this package.
func (m *Manager) Settle(ctx context.Context, lock string) (ours bool, err error) {
	if id, ok := strings.CutPrefix(lock, umountLock); ok && state.IsID(id) {
		err := m.dir.IfUnowned(id, func() error { return m.Unmount(ctx, id) })
		return true, errors.Join(err, m.dir.DropLock(lock))
	}
	name, ours := strings.CutPrefix(lock, volumeLock)
	if !ours || state.CheckName("volume", name) != nil {
		return false, nil
	}
	unlock, err := m.lockVolume(name) // settles it
	if err != nil {
		return true, err
	}
	unlock()
	return true, nil
}

// SettleAll settles all volumes. After a reboot there are no lock files that name them.
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
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, m.settleVolume(name))
		unlock()
	}
	return errors.Join(errs...)
}

// SettleVolumesOf removes temporary files from the anonymous volumes of container id. The caller must own the container.
func (m *Manager) SettleVolumesOf(id string) error {
	record, err := ReadRecord(m.dir, id)
	for _, v := range record.Volumes {
		if v.Anonymous && state.CheckName("volume", v.Name) == nil {
			state.RemoveTemps(m.volumeDir(v.Name))
		}
	}
	return err
}

// settleVolume removes an unfinished volume and temporary files. The caller must hold the volume's lock.
func (m *Manager) settleVolume(name string) error {
	if m.unfinished(name) {
		return errors.Join(linux.RemoveAll(m.volumeDir(name)), linux.RemoveAll(m.goneVolume(name)))
	}
	state.RemoveTemps(m.volumeDir(name))
	return linux.RemoveAll(m.goneVolume(name))
}

// unfinished reports whether a volume has neither volume.json nor data.
func (m *Manager) unfinished(name string) bool {
	_, err := os.Lstat(filepath.Join(m.volumeDir(name), volumeFile))
	return errors.Is(err, fs.ErrNotExist) && emptyDir(m.volumeData(name))
}

// inUse reports whether a volume belongs to an active container. Anonymous volumes have no lock that would tell.
func (m *Manager) inUse(name string) bool {
	users, err := m.volumeUsers()
	return err != nil || slices.ContainsFunc(users[name], func(id string) bool { return m.dir.Extent(id) == state.Active })
}

func hasTemps(dir string) bool {
	paths, err := linux.Glob(dir, state.TempPrefix+"*")
	return len(paths) > 0 && err == nil
}
