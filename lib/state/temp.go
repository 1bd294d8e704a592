package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// TempPrefix starts the names of files that are being written. Readers of a directory skip them.
const TempPrefix = ".tmp-"

// DropTemps removes the temporary files that killed writers left for container id. The caller has the container's lock,
// as the writers have; lib/network has another lock, so its files are skipped.
func (d Dir) DropTemps(id string) {
	for _, dir := range []string{d.Bundle(id), d.Runtime(id)} {
		entries, _ := list(dir)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), TempPrefix) && e.Name() != TempPrefix+NetFile {
				_ = os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}

// DropAllTemps removes the temporary files of all killed writers of small files. It is for the time after a reboot,
// which removes the lock files that would tell of them. It takes the lock of each writer.
func (d Dir) DropAllTemps() error {
	for lock, dir := range map[string]string{"names": d.Names(), "users": d.IDRanges()} {
		if !hasTemps(dir) {
			continue
		}
		unlock, err := d.LockObject(lock)
		if err != nil {
			return err
		}
		RemoveTemps(dir)
		unlock()
	}
	ids, err := d.IDs()
	errs := []error{err}
	for _, id := range ids {
		if hasTemps(d.Bundle(id)) {
			errs = append(errs, d.IfUnowned(id, func() error { d.DropTemps(id); return nil }))
		}
	}
	return errors.Join(errs...)
}

func hasTemps(dir string) bool {
	paths, err := linux.Glob(dir, TempPrefix+"*")
	return len(paths) > 0 && err == nil
}

// RemoveTemps removes the temporary files that killed writers left in a directory. The caller has the lock of those
// writers.
func RemoveTemps(dir string) {
	entries, _ := list(dir) // an unreadable directory keeps them
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), TempPrefix) {
			_ = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// Settled reports whether the file at path is old enough (10 s) that its writer has finished or is dead.
func Settled(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && time.Since(info.ModTime()) > 10*time.Second
}

// temps returns the temporary files of killed writers in all directories with small files.
func (d Dir) temps() ([]string, error) {
	var found []string
	for _, at := range []struct{ dir, below string }{
		{d.Names(), ""}, {d.Networks(), "*"}, {d.Networks(), "*/leases"}, {d.Containers(), "*"}, {d.Volumes(), "*"}, {d.Images(), ""},
		{d.Run, "*"}, {d.Run, ""},
	} {
		paths, err := linux.Glob(at.dir, filepath.Join(at.below, TempPrefix+"*"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if Settled(path) {
				found = append(found, path)
			}
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	open, err := openFiles()
	if err != nil {
		return nil, err
	}
	var left []string
	for _, path := range found {
		if !open[path] {
			left = append(left, path)
		}
	}
	return left, nil
}

// openFiles returns the paths of all files that processes have open.
func openFiles() (map[string]bool, error) {
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	open := make(map[string]bool, len(fds))
	for _, fd := range fds {
		if path, err := os.Readlink(fd); err == nil { // otherwise it was just closed
			open[path] = true
		}
	}
	return open, err
}
