package container

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/weikeit/mydocker/lib/bundle"
	"github.com/weikeit/mydocker/lib/state"
)

// Sweep takes back what commands that were killed have left: the containers that they had in their hands, and what they
// were at otherwise, of which the files of their locks tell ([state.Dir.LeftLocks]). A command that makes or starts a
// container does it beside its work, one that stops or removes one at its end by this: what was left may be what it is
// about. Where there is no state it makes none.
func (e *Engine) Sweep(ctx context.Context) {
	if _, err := os.Stat(e.Dir.Root); err == nil && ctx.Err() == nil {
		e.sweep(ctx)
	}
}

// sweep costs two lists of directories where there is nothing. found says that there was something. What cannot be
// taken back is told to the user, and found by [Engine.Orphans].
func (e *Engine) sweep(ctx context.Context) (found bool) {
	found = e.spawn.Sweep(ctx, e.rootfs.Warn)
	if err := bundle.Open(e.Dir).Sweep(); err != nil {
		e.rootfs.Warn("clean up after bundles: %v", err)
	}
	if first, done := e.Dir.FirstSweep(state.MarkSettled); first {
		if err := e.settleAll(ctx); err != nil {
			e.rootfs.Warn("clean up after the last time that the machine ran: %v", err)
		}
		done()
	}
	locks, err := e.leftLocks()
	if err != nil {
		e.rootfs.Warn("look for what was left behind: %v", err)
	}
	for _, lock := range locks {
		found = true
		if err := e.settle(ctx, lock); err != nil {
			e.rootfs.Warn("clean up after what had the lock %s: %v", lock, err)
		}
	}
	if found { // the killed command may have been making a bridge
		state.DropHostLock(state.BridgesLock)
	}
	return found
}

// settleAll does for all that survives a reboot what locks tell otherwise, which the reboot took. The images' temporary files go
// with their lock; what no image needs is kept for a day, and is the business of [image.Store.Remains].
func (e *Engine) settleAll(ctx context.Context) error {
	errs := []error{e.Dir.DropAllTemps(), e.rootfs.SettleAll(), e.Network.SettleAll(ctx)}
	unlock, err := e.Images.Lock()
	if err == nil {
		unlock()
	}
	return errors.Join(append(errs, err)...)
}

// settle takes back what the holder of a lock left when it was killed, and the lock's file.
func (e *Engine) settle(ctx context.Context, lock string) error {
	if state.IsID(lock) {
		return e.settleRecords(lock)
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
	if !ours { // such as that on the names: what was done with it is found by the container
		return e.Dir.DropLock(lock)
	}
	return err
}

// settleRecords removes what was being written about container id.
func (e *Engine) settleRecords(id string) error {
	unlock, err := e.Dir.LockChanging(id)
	if err != nil {
		return err
	}
	e.Dir.DropTemps(id)
	err = e.rootfs.SettleVolumesOf(id)
	unlock()
	e.Dir.Release(id) // the lock made a directory where there is no such container
	return err
}

// leftLocks returns the locks whose holders were killed. That of a group in which something runs is not left yet.
func (e *Engine) leftLocks() ([]string, error) {
	locks, err := e.Dir.OrphanedLocks()
	return slices.DeleteFunc(locks, e.cgroup.Busy), err
}

// strayLocks are the same as remains.
func (e *Engine) strayLocks() ([]state.Orphan, error) {
	locks, err := e.leftLocks()
	var found []state.Orphan
	for _, lock := range locks {
		found = append(found, state.Orphan{Kind: "lock", Name: e.Dir.LockPath(lock), Reason: "its holder was killed", Remove: func(ctx context.Context) error {
			return e.settle(ctx, lock)
		}})
	}
	return found, err
}
