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

// Orphans returns all that is ours and that nobody owns, in the order in which it can be removed. What a part cannot
// tell is an error beside what the others found. What is only there for a moment, between two steps of a command that
// runs meanwhile, is seen once and not again.
func (e *Engine) Orphans(ctx context.Context) ([]state.Orphan, error) {
	first, err := e.remains(ctx)
	if len(first) == 0 {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(100 * time.Millisecond):
	}
	second, err := e.remains(ctx)
	return slices.DeleteFunc(second, func(r state.Orphan) bool {
		return !slices.ContainsFunc(first, func(f state.Orphan) bool { return f.Kind == r.Kind && f.Name == r.Name })
	}), err
}

func (e *Engine) remains(ctx context.Context) ([]state.Orphan, error) {
	containers, containerErr := e.strayContainers()
	roots, rootErr := e.rootfs.Orphans()
	groups, groupErr := e.cgroup.Orphans()
	nets, netErr := e.Network.Orphans(ctx)
	images, imageErr := e.Images.Orphans()
	small, smallErr := e.Dir.Orphans()
	locks, lockErr := e.strayLocks()
	return slices.Concat(containers, roots, groups, nets, images, small, locks, e.unreadable()),
		errors.Join(containerErr, rootErr, groupErr, netErr, imageErr, smallErr, lockErr)
}

// strayContainers finds those whose end nobody saw, and those that were never finished, or not wholly removed. The next
// command that meets them does the same.
func (e *Engine) strayContainers() ([]state.Orphan, error) {
	abandoned, err := e.Dir.Abandoned()
	ids, listErr := e.Dir.IDs()
	var found []state.Orphan
	for _, id := range slices.Compact(slices.Sorted(slices.Values(append(abandoned, ids...)))) {
		if c, ok := e.Dir.Prepared(id); ok {
			found = append(found, e.forgotten(c)...)
			continue
		}
		reason := e.stray(id)
		if reason == "" && slices.Contains(abandoned, id) && (e.Dir.HasRunFile(id) || state.Settled(e.Dir.Runtime(id))) {
			reason = "it was in the hands of a command that was killed"
		}
		if reason != "" {
			found = append(found, state.Orphan{Kind: "container", Name: e.Dir.Bundle(id), Reason: reason, Remove: func(ctx context.Context) error {
				return e.spawn.Recover(ctx, id)
			}})
		}
	}
	return found, errors.Join(err, listErr)
}

// unreadable finds the records of containers that are torn. Nothing is removed for that: what they are about may run, and
// may be wanted. Only the note of one that runs can be written anew.
func (e *Engine) unreadable() []state.Orphan {
	ids, _ := e.Dir.IDs() // the containers said so
	var found []state.Orphan
	for _, id := range ids {
		for path, err := range e.Dir.Torn(id) {
			found = append(found, state.Orphan{Kind: "file", Name: path, Reason: "it cannot be read: " + err.Error(), Remove: func(context.Context) error {
				if path == filepath.Join(e.Dir.Runtime(id), state.RunFile) {
					return e.Dir.RewriteRun(id)
				}
				return fmt.Errorf("it is container %s's, which only a user can remove: mydocker rm -f %s", id, id)
			}})
		}
	}
	return found
}

// forgotten is a container that stages of the pipe have made, where its document has not been run for long. While a
// person may still have the document, it is only shown.
func (e *Engine) forgotten(c *state.Container) []state.Orphan {
	info, err := os.Stat(e.Dir.Bundle(c.ID))
	if err != nil || time.Since(info.ModTime()) < state.Forgotten {
		return nil
	}
	r := state.Orphan{Kind: "container", Name: e.Dir.Bundle(c.ID), Kept: true,
		Reason: "prepared, and its document was not run: mydocker rm " + c.ID + " removes it"}
	if time.Since(info.ModTime()) > state.Lost {
		r.Kept, r.Reason = false, "prepared more than a day ago, and its document was not run"
		r.Remove = func(ctx context.Context) error {
			if _, ok := e.Dir.Prepared(c.ID); !ok {
				return nil
			}
			return e.spawn.Recover(ctx, c.ID)
		}
	}
	return []state.Orphan{r}
}

func (e *Engine) stray(id string) string {
	switch e.Dir.Extent(id) {
	case state.Active:
		return ""
	case state.Absent:
		return "nobody holds it: it was not finished, or not wholly removed"
	}
	life, err := e.Dir.ReadSpawn(id)
	if err == nil && !life.Started.IsZero() && life.Finished.IsZero() {
		return "its program ended together with who waited for it"
	}
	return ""
}
