package container

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/state"
)

// PruneFilter selects the containers that a prune may remove.
type PruneFilter struct {
	until  time.Time // created before this time; zero for any
	labels []labelFilter
}

type labelFilter struct {
	key, value string
	anyValue   bool
	without    bool
}

// ParsePruneFilter parses until=TIME, label=KEY[=VALUE] and label!=KEY[=VALUE].
func ParsePruneFilter(words []string, now time.Time) (f PruneFilter, err error) {
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		switch {
		case ok && key == "until":
			if f.until, err = crilog.ParseTime(value, now); err != nil {
				return f, fmt.Errorf("--filter %.80q: %w", word, err)
			}
		case ok && (key == "label" || key == "label!"):
			name, want, given := strings.Cut(value, "=")
			f.labels = append(f.labels, labelFilter{key: name, value: want, anyValue: !given, without: key == "label!"})
		default:
			return f, fmt.Errorf("--filter %.80q: want until=TIME, label=KEY[=VALUE] or label!=KEY[=VALUE]", word)
		}
	}
	return f, nil
}

func (f PruneFilter) matches(created time.Time, labels map[string]string) bool {
	if !f.until.IsZero() && !created.Before(f.until) {
		return false
	}
	for _, l := range f.labels {
		value, has := labels[l.key]
		if has = has && (l.anyValue || value == l.value); has == l.without {
			return false
		}
	}
	return true
}

// Prune removes the containers that do not run, and returns the bytes that they took on the disk. It calls removed for
// each.
func (e *Engine) Prune(ctx context.Context, f PruneFilter, removed func(id string)) (bytes int64, err error) {
	list, err := e.Dir.List(func(err error) { e.rootfs.Warn("%v", err) })
	errs := []error{err}
	for _, c := range list {
		if ctx.Err() != nil {
			return bytes, errors.Join(append(errs, ctx.Err())...)
		}
		if c.Running || c.Restarting() || !f.matches(c.Created, c.Spec.Labels()) || !e.Dir.Kept(c.ID) {
			continue
		}
		size := e.containerSize(c.ID)
		_, err := e.Remove(ctx, c.ID, RemoveOptions{})
		var running bool
		if again, loadErr := e.Dir.Load(c.ID); loadErr == nil {
			running = again.Running
		}
		switch {
		case err == nil:
			bytes += size
			removed(c.ID)
		case !running && !errors.Is(err, state.ErrNotFound): // otherwise another command removed or started it
			errs = append(errs, fmt.Errorf("container %s: %w", c.ID, err))
		}
	}
	return bytes, errors.Join(errs...)
}

// containerSize returns the bytes on the disk of the files and logs of a container.
func (e *Engine) containerSize(id string) int64 {
	size := diskUse(filepath.Join(e.Dir.Bundle(id), "diff"))
	for _, path := range crilog.Files(e.spawn.LogPath(id)) {
		size += diskUse(path)
	}
	return size
}
