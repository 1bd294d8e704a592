package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/weikeit/mydocker/lib/state"
)

// Orphans returns the orphans of all parts, in the order in which they can be removed. A part that fails adds an error
// and the others still count. It looks twice: what exists only between two steps of a running command is not seen again.
func (e *Engine) Orphans(ctx context.Context) ([]state.Orphan, error) {
	first, err := e.findOrphans(ctx)
	if len(first) == 0 {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(100 * time.Millisecond):
	}
	second, err := e.findOrphans(ctx)
	return slices.DeleteFunc(second, func(r state.Orphan) bool {
		return !slices.ContainsFunc(first, func(f state.Orphan) bool { return f.Kind == r.Kind && f.Name == r.Name })
	}), err
}

func (e *Engine) findOrphans(ctx context.Context) ([]state.Orphan, error) {
	containers, containerErr := e.orphanedContainers()
	roots, rootErr := e.rootfs.Orphans()
	groups, groupErr := e.cgroup.Orphans()
	nets, netErr := e.Network.Orphans(ctx)
	images, imageErr := e.Images.Orphans()
	small, smallErr := e.Dir.Orphans()
	locks, lockErr := e.orphanedLocks()
	return slices.Concat(containers, roots, groups, nets, images, small, locks, e.unreadable()),
		errors.Join(containerErr, rootErr, groupErr, netErr, imageErr, smallErr, lockErr)
}

// orphanedContainers returns the containers whose monitor died, and those that are not complete or not wholly removed.
// Removing one is the recovery that the next sweep would do.
func (e *Engine) orphanedContainers() ([]state.Orphan, error) {
	abandoned, err := e.Dir.Abandoned()
	ids, listErr := e.Dir.IDs()
	var found []state.Orphan
	for _, id := range slices.Compact(slices.Sorted(slices.Values(append(abandoned, ids...)))) {
		if c, ok := e.Dir.Prepared(id); ok {
			found = append(found, e.unusedDocument(c)...)
			continue
		}
		reason := e.orphanReason(id)
		if reason == "" && slices.Contains(abandoned, id) && (e.Dir.HasRunFile(id) || state.Settled(e.Dir.Runtime(id))) {
			reason = "the command that owned it was killed"
		}
		if reason != "" {
			found = append(found, state.Orphan{Kind: "container", Name: e.Dir.Bundle(id), Reason: reason, Remove: func(ctx context.Context) error {
				return e.spawn.Recover(ctx, id)
			}})
		}
	}
	return found, errors.Join(err, listErr)
}

// unreadable returns the torn records of containers. It removes nothing, because the container may run and may be
// wanted. Only the run file of a running container can be written again.
func (e *Engine) unreadable() []state.Orphan {
	ids, _ := e.Dir.IDs() // orphanedContainers returns the error
	var found []state.Orphan
	for _, id := range ids {
		for path, err := range e.Dir.Torn(id) {
			found = append(found, state.Orphan{Kind: "file", Name: path, Reason: "it cannot be read: " + err.Error(), Remove: func(context.Context) error {
				if path == filepath.Join(e.Dir.Runtime(id), state.RunFile) {
					return e.Dir.RewriteRun(id)
				}
				return fmt.Errorf("it belongs to container %s, which only a user can remove: mydocker rm -f %s", id, id)
			}})
		}
	}
	return found
}

// unusedDocument returns a container whose document was written an hour ago and has not been run. For a day it is only
// reported, because a user may still have the document.
func (e *Engine) unusedDocument(c *state.Container) []state.Orphan {
	info, err := os.Stat(e.Dir.Bundle(c.ID))
	if err != nil || time.Since(info.ModTime()) < state.Forgotten {
		return nil
	}
	r := state.Orphan{Kind: "container", Name: e.Dir.Bundle(c.ID), Kept: true,
		Reason: "prepared, but its document was not run: mydocker rm " + c.ID + " removes it"}
	if time.Since(info.ModTime()) > state.Lost {
		r.Kept, r.Reason = false, "prepared more than a day ago, but its document was not run"
		r.Remove = func(ctx context.Context) error {
			if _, ok := e.Dir.Prepared(c.ID); !ok {
				return nil
			}
			return e.spawn.Recover(ctx, c.ID)
		}
	}
	return []state.Orphan{r}
}

// orphanReason returns why container id is an orphan, or "".
func (e *Engine) orphanReason(id string) string {
	switch e.Dir.Extent(id) {
	case state.Active:
		return ""
	case state.Absent:
		return "it has no owner: it is incomplete, or not wholly removed"
	}
	life, err := e.Dir.ReadSpawn(id)
	if err == nil && !life.Started.IsZero() && life.Finished.IsZero() {
		return "its monitor was killed, and its program ended with it"
	}
	return ""
}
