package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// patience is how long Remove and Kill wait for processes that are on their way out.
const patience = 2 * time.Second

// Remove removes the group, and the groups below it, from every hierarchy, and the common parent of
// containers when it holds no other. It waits for processes that are just ending, up to 2 s, kills
// none, and is idempotent.
func (g *Group) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var errs []error
	for _, t := range g.trees {
		dir := t.dir(g.Path)
		err := removeTree(ctx, dir)
		switch {
		case errors.Is(err, syscall.EBUSY):
			err = fmt.Errorf("remove group %s: processes are still in it: %w", g.Path, err)
		case err != nil:
			err = fmt.Errorf("remove group %s: %w", g.Path, err)
		}
		errs = append(errs, err)
		if parent := filepath.Dir(g.Path); err == nil && parent == g.base && childless(t.dir(parent)) {
			linux.Trace("rmdir", t.dir(parent))
			_ = rmdir(t.dir(parent)) // another may just have made a group in it
		}
	}
	return errors.Join(errs...)
}

// retry calls f again while the kernel says busy, as it does for some time after a process has ended.
func retry(ctx context.Context, f func() error) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := f()
		if !errors.Is(err, syscall.EBUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// removeTree removes a group with those below it, from the bottom up: a container may have made
// groups of its own.
func removeTree(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if !childless(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			if err := removeTree(ctx, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	linux.Trace("rmdir", dir)
	return retry(ctx, func() error { return rmdir(dir) })
}

// childless reports whether the group in dir exists and has no group below it: its directory has two
// links then, its name and its own dot.
func childless(dir string) bool {
	var st syscall.Stat_t
	return syscall.Stat(dir, &st) == nil && st.Nlink == 2
}
