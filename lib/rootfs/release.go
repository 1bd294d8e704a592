package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Remount mounts the root of a stopped, kept container again, with its changes. It does nothing if the root is mounted.
func (m *Manager) Remount(ctx context.Context, s *spec.Spec) error {
	id := s.ID()
	if err := state.CheckID(id); err != nil {
		return err
	}
	if linux.IsMountPoint(m.dir.Rootfs(id)) {
		return nil
	}
	record, err := ReadRecord(m.dir, id)
	if err != nil {
		return err
	}
	if record.Driver == "" {
		return fmt.Errorf("root of container %s: %w", id, state.ErrNotFound)
	}
	driver, err := driverNamed(record.Driver)
	if err != nil {
		return err
	}
	userns, err := openUserns(s)
	if err != nil {
		return err
	}
	defer userns.Close()
	return m.mountFor(ctx, driver, s, record.Layers, userns)
}

// Unmount releases what [Manager.Mount] created. It unmounts the root of container id and, unless the container is kept
// (state.Dir.Kept), removes the bundle, the name and the anonymous volumes. It is idempotent, and it refuses a container
// that is running.
func (m *Manager) Unmount(ctx context.Context, id string) error {
	if err := state.CheckID(id); err != nil {
		return err
	}
	if m.dir.Look(id).Program != state.Dead {
		return fmt.Errorf("unmount root: container %s is running: stop it first", id)
	}
	if m.dir.Kept(id) {
		return m.unmountRoot(id)
	}
	return m.Remove(ctx, id, true)
}

// umountLock, followed by a container id, is the lock of a command that releases a root by itself. When a hook runs the
// command, the owner of the container has its lock instead.
const umountLock = "umount-"

// UnmountAlone is [Manager.Unmount] for a command that runs by itself, not as a hook.
func (m *Manager) UnmountAlone(ctx context.Context, id string) error {
	if err := state.CheckID(id); err != nil {
		return err
	}
	done, err := m.dir.LockObject(umountLock + id)
	if err != nil {
		return err
	}
	defer done()
	return m.Unmount(ctx, id)
}

// Remove unmounts the root of container id and removes its bundle, its name and, with volumes set, its anonymous
// volumes. It is idempotent.
func (m *Manager) Remove(_ context.Context, id string, volumes bool) error {
	if err := state.CheckID(id); err != nil {
		return err
	}
	record, _ := m.recordOf(id)
	if err := m.unmountRoot(id); err != nil {
		return err
	}
	var errs []error
	if volumes {
		errs = append(errs, m.removeAnonymous(id, record.Volumes))
	}
	if record.Name != "" {
		errs = append(errs, m.dir.ReleaseName(record.Name, id))
	}
	errs = append(errs, m.dir.ReleaseIDRange(id))
	if err := errors.Join(errs...); err != nil {
		return err // the record stays, so that a later removal can try again
	}
	return m.removeBundle(id)
}

// unmountRoot unmounts everything at the container's root. The unmount is lazy, so that a process with an open file
// there does not block it.
func (m *Manager) unmountRoot(id string) error {
	root := m.dir.Rootfs(id)
	for linux.IsMountPoint(root) {
		err := linux.Unmount(root, linux.MntDetach|linux.UmountNofollow)
		if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeBundle removes the bundle after the root is unmounted. It removes the mount point first, with rmdir(2), which
// fails if something is still mounted there: RemoveAll would delete files of that mount.
func (m *Manager) removeBundle(id string) error {
	bundle := m.dir.Bundle(id)
	if err := os.Remove(m.dir.Rootfs(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove mount point: %w", err)
	}
	linux.Trace("rm", "-rf", bundle)
	// Most bundles have only known files and empty directories. Removing those by name is cheaper than listing them.
	p := m.place(id)
	for _, dir := range []string{filepath.Join(p.work, "work"), p.work, p.diff} {
		_ = syscall.Rmdir(dir)
	}
	for _, file := range []string{HostsFile, HostnameFile, ResolvFile, state.RootfsFile} {
		_ = syscall.Unlink(filepath.Join(bundle, file))
	}
	if err := syscall.Rmdir(bundle); err == nil || err == syscall.ENOENT {
		return nil
	}
	return linux.RemoveAll(bundle)
}
