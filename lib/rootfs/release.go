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

// Remount mounts the root of a container that was stopped and kept, with what it has written. A root
// that is mounted already stays.
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
	users, err := openUserns(s)
	if err != nil {
		return err
	}
	defer users.Close()
	return m.mountFor(ctx, driver, s, record.Layers, users)
}

// Unmount is the release of [Manager.Mount]: it unmounts the root of container id, and where the
// container is not kept (state.Dir.Kept) removes it altogether, with its name and its anonymous
// volumes. It is idempotent; where there is nothing, it does nothing. What runs is left alone.
func (m *Manager) Unmount(ctx context.Context, id string) error {
	if err := state.CheckID(id); err != nil {
		return err
	}
	if m.dir.Look(id).Program != state.Dead {
		return fmt.Errorf("container %s runs: stop it first", id)
	}
	if m.dir.Kept(id) {
		return m.unmountRoot(id)
	}
	return m.Remove(ctx, id, true)
}

// umountLock and an id are the lock of a command that releases a root by itself: no process notes that it has the container
// in its hands, as those do that run the command as a hook.
const umountLock = "umount-"

// UnmountAlone is [Manager.Unmount] for a command of its own.
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

// Remove unmounts the root of container id and removes its bundle, its name and, with volumes set, its
// anonymous volumes. It is idempotent.
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
		return err // with the record of what is still there, so that the next one can try again
	}
	return m.removeBundle(id)
}

// unmountRoot unmounts all that is mounted at the container's root. Lazily: a process that still has
// a file open there must not stand in the way.
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

// removeBundle removes the bundle, in which nothing is mounted any more. The mount point goes first
// and alone: were something still mounted there, its files would not be ours to remove.
func (m *Manager) removeBundle(id string) error {
	bundle := m.dir.Bundle(id)
	if err := os.Remove(m.dir.Rootfs(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove mount point: %w", err)
	}
	linux.Trace("rm", "-rf", bundle)
	// Most containers leave empty directories and the few files that we know: to ask what is in them
	// costs more than to try.
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
