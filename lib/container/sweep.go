package container

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/weikeit/mydocker/lib/bundle"
	"github.com/weikeit/mydocker/lib/state"
)

// Sweep removes what killed commands left: the containers that they owned, and what they did under the locks that they
// held ([state.Dir.OrphanedLocks]). A command that stops or removes containers calls it at its end. Commands that create
// or start one sweep in parallel with their work. Sweep does not create a state directory.
func (e *Engine) Sweep(ctx context.Context) {
	if _, err := os.Stat(e.Dir.Root); err == nil && ctx.Err() == nil {
		e.sweep(ctx)
	}
}

// sweep lists two directories if there is nothing to remove, and reports whether there was something. What it cannot
// remove it warns about; [Engine.Orphans] finds it.
func (e *Engine) sweep(ctx context.Context) (found bool) {
	found = e.spawn.Sweep(ctx, e.rootfs.Warn)
	if err := bundle.Open(e.Dir).Sweep(); err != nil {
		e.rootfs.Warn("clean up after bundles: %v", err)
	}
	if first, done := e.Dir.FirstSweep(state.MarkSettled); first {
		if err := e.settleAll(ctx); err != nil {
			e.rootfs.Warn("clean up after the last boot: %v", err)
		}
		done()
	}
	locks, err := e.locksOfKilled()
	if err != nil {
		e.rootfs.Warn("list orphaned locks: %v", err)
	}
	for _, lock := range locks {
		found = true
		if err := e.settle(ctx, lock); err != nil {
			e.rootfs.Warn("clean up after the holder of lock %s: %v", lock, err)
		}
	}
	if found { // the killed command may have been making a bridge
		state.DropHostLock(state.BridgesLock)
	}
	return found
}

// settleAll cleans up everything that survives a reboot, because the locks that would tell what to clean up do not. The
// temporary files of images are removed with the images' lock. What no image needs is kept for a day, for
// [image.Store.Orphans].
func (e *Engine) settleAll(ctx context.Context) error {
	errs := []error{e.Dir.DropAllTemps(), e.rootfs.SettleAll(), e.Network.SettleAll(ctx), e.settleNames(ctx)}
	unlock, err := e.Images.Lock()
	if err == nil {
		unlock()
	}
	return errors.Join(append(errs, err)...)
}

// settle removes what the killed holder of a lock left, and the lock's file.
func (e *Engine) settle(ctx context.Context, lock string) error {
	if state.IsID(lock) {
		return e.settleRecords(ctx, lock)
	}
	ours, err := e.Network.Settle(ctx, lock)
	if !ours {
		ours, err = e.rootfs.Settle(ctx, lock)
	}
	if !ours {
		ours, err = e.Images.Settle(lock)
	}
	if !ours {
		ours, err = e.cgroup.Settle(lock)
	}
	if !ours { // the lock on names, for example: the sweep of the container does the rest
		return e.Dir.DropLock(lock)
	}
	return err
}

// settleRecords removes unfinished records of container id, and finishes a rename.
func (e *Engine) settleRecords(ctx context.Context, id string) error {
	unlock, err := e.Dir.LockChanging(id)
	if err != nil {
		return err
	}
	e.Dir.DropTemps(id)
	err = errors.Join(e.rootfs.SettleVolumesOf(id), e.settleNameOf(ctx, id))
	unlock()
	e.Dir.Release(id) // removes the directory that the lock made if there is no such container
	return err
}

// locksOfKilled returns the locks whose holders were killed, except those of cgroups with processes.
func (e *Engine) locksOfKilled() ([]string, error) {
	locks, err := e.Dir.OrphanedLocks()
	return slices.DeleteFunc(locks, e.cgroup.Busy), err
}

// orphanedLocks returns the same locks as orphans.
func (e *Engine) orphanedLocks() ([]state.Orphan, error) {
	locks, err := e.locksOfKilled()
	var found []state.Orphan
	for _, lock := range locks {
		found = append(found, state.Orphan{Kind: "lock", Name: e.Dir.LockPath(lock), Reason: "its holder was killed", Remove: func(ctx context.Context) error {
			return e.settle(ctx, lock)
		}})
	}
	return found, err
}
