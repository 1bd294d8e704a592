package cgroup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/state"
)

// standaloneMark is the extended attribute of a cgroup without a container (md-cgroup create ID). It is never an orphan:
// the user removes it.
const standaloneMark = "trusted.mydocker.alone"

// markStandalone sets standaloneMark. On a kernel without extended attributes on cgroups the cgroup is listed as an orphan.
func (g *Group) markStandalone() {
	for _, t := range g.trees {
		_ = syscall.Setxattr(t.dir(g.Path), standaloneMark, []byte("1"), 0)
	}
}

// stateDirMark is the extended attribute of a cgroup whose container is not in the default state directory. It holds
// [state.Dir.Mark]. The cgroups of all state directories have one parent, so it tells them apart.
const stateDirMark = "trusted.mydocker.set"

// markStateDir sets stateDirMark, unless mark is that of the default state directory.
func (g *Group) markStateDir(mark string) {
	if mark == "" {
		return
	}
	for _, t := range g.trees {
		_ = syscall.Setxattr(t.dir(g.Path), stateDirMark, []byte(mark), 0)
	}
}

// stateDirOf returns the state directory's mark of the cgroup in dir.
func stateDirOf(dir string) string {
	var text [256]byte
	n, err := syscall.Getxattr(dir, stateDirMark, text[:])
	if err != nil {
		return ""
	}
	return string(text[:n])
}

// preparedMark is the extended attribute of a cgroup whose document is not run yet. It holds the time of creation, in
// seconds since 1970.
const preparedMark = "trusted.mydocker.prepared"

func (g *Group) markPrepared() {
	now := []byte(strconv.FormatInt(time.Now().Unix(), 10))
	for _, t := range g.trees {
		_ = syscall.Setxattr(t.dir(g.Path), preparedMark, now, 0)
	}
}

// preparedAge returns the age of preparedMark; ok is false if the cgroup does not have it.
func preparedAge(dir string) (age time.Duration, ok bool) {
	var value [20]byte
	n, err := syscall.Getxattr(dir, preparedMark, value[:])
	if err != nil {
		return 0, false
	}
	seconds, err := strconv.ParseInt(string(value[:n]), 10, 64)
	return time.Since(time.Unix(seconds, 0)), err == nil
}

// Orphans returns the cgroups in this state directory whose containers are stopped or absent. A cgroup with processes
// is not an orphan.
func (m *Manager) Orphans() ([]state.Orphan, error) {
	ts, err := hostTrees()
	if err != nil {
		return nil, err
	}
	var found []state.Orphan
	var errs []error
	seen, own := make(map[string]bool), m.dir.Mark()
	for _, t := range ts {
		entries, err := os.ReadDir(t.dir(m.base))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			id := e.Name()
			if !e.IsDir() || !state.IsID(id) || seen[id] || m.dir.Extent(id) == state.Active {
				continue
			}
			if stateDirOf(filepath.Join(t.dir(m.base), id)) != own {
				continue
			}
			seen[id] = true
			g, err := m.Open(id)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if _, err := syscall.Getxattr(filepath.Join(t.dir(m.base), id), standaloneMark, nil); err == nil {
				continue
			}
			if pids, err := g.Procs(); err != nil || len(pids) > 0 {
				continue
			}
			r := state.Orphan{Kind: "cgroup", Name: filepath.Join(t.dir(m.base), id), Reason: "no container runs in it",
				Remove: func(ctx context.Context) error {
					return m.dir.IfAtMost(id, state.Stopped, func() error { return g.Remove(ctx) })
				}}
			switch age, prepared := preparedAge(r.Name); {
			case prepared && age < state.Forgotten:
				continue
			case prepared && age < state.Lost:
				r.Kept, r.Remove = true, nil
				r.Reason = "its document was not run: md-cgroup delete " + id + " removes it"
			}
			found = append(found, r)
		}
	}
	return found, errors.Join(errs...)
}
