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

// exitTimeout is how long Remove and Kill wait for processes to exit.
const exitTimeout = 2 * time.Second

// Remove removes the cgroup and its descendants from every hierarchy, and the common parent of
// containers if that is empty. It waits up to 2 s for processes that are exiting. It kills none and
// is idempotent.
func (g *Group) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, exitTimeout)
	defer cancel()
	var errs []error
	for _, t := range g.trees {
		dir := t.dir(g.Path)
		err := removeTree(ctx, dir)
		switch {
		case errors.Is(err, syscall.EBUSY):
			err = fmt.Errorf("remove cgroup %s: it has processes: %w", g.Path, err)
		case err != nil:
			err = fmt.Errorf("remove cgroup %s: %w", g.Path, err)
		}
		errs = append(errs, err)
		if parent := filepath.Dir(g.Path); err == nil && parent == g.base && childless(t.dir(parent)) {
			linux.Trace("rmdir", t.dir(parent))
			_ = rmdir(t.dir(parent)) // fails if another process created a child since
		}
	}
	return errors.Join(errs...)
}

// retry calls f until it returns anything but EBUSY, which the kernel returns for some time after a process has exited.
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

// removeTree removes a cgroup and its descendants, children first: a container may have created
// cgroups.
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

// childless reports whether the cgroup in dir exists and has no children: its directory then has two
// links, its name and its own dot.
func childless(dir string) bool {
	var st syscall.Stat_t
	return syscall.Stat(dir, &st) == nil && st.Nlink == 2
}
