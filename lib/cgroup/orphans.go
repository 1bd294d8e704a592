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

// aloneMark is the extended attribute of a group that was made without a container (md-cgroup create ID): it is its
// maker's, until that removes it.
const aloneMark = "trusted.mydocker.alone"

// markAlone says that no container is missing here. A kernel that cannot keep that shows the group as a remain.
func (g *Group) markAlone() {
	for _, t := range g.trees {
		_ = syscall.Setxattr(t.dir(g.Path), aloneMark, []byte("1"), 0)
	}
}

// setMark is the extended attribute of a group whose container is of another set of state than the usual one: it says of
// which ([state.Dir.Mark]). All sets have their groups side by side, and none may take another's for its own.
const setMark = "trusted.mydocker.set"

// markSet marks the group as one of a set of state. It costs nothing where that is the usual one.
func (g *Group) markSet(set string) {
	if set == "" {
		return
	}
	for _, t := range g.trees {
		_ = syscall.Setxattr(t.dir(g.Path), setMark, []byte(set), 0)
	}
}

// setOf returns the set of state that the group in dir is of.
func setOf(dir string) string {
	var text [256]byte
	n, err := syscall.Getxattr(dir, setMark, text[:])
	if err != nil {
		return ""
	}
	return string(text[:n])
}

// preparedMark is that of a group of a document that was printed and is of no container yet. It holds the time.
const preparedMark = "trusted.mydocker.prepared"

func (g *Group) markPrepared() {
	now := []byte(strconv.FormatInt(time.Now().Unix(), 10))
	for _, t := range g.trees {
		_ = syscall.Setxattr(t.dir(g.Path), preparedMark, now, 0)
	}
}

// preparedFor returns for how long a group has been prepared; ok says that it was.
func preparedFor(dir string) (age time.Duration, ok bool) {
	var value [20]byte
	n, err := syscall.Getxattr(dir, preparedMark, value[:])
	if err != nil {
		return 0, false
	}
	seconds, err := strconv.ParseInt(string(value[:n]), 10, 64)
	return time.Since(time.Unix(seconds, 0)), err == nil
}

// Orphans returns the groups of containers that do not run, or are not there at all, of this set of state. A group with
// processes in it is in use.
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
			if setOf(filepath.Join(t.dir(m.base), id)) != own {
				continue
			}
			seen[id] = true
			g, err := m.Open(id)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if _, err := syscall.Getxattr(filepath.Join(t.dir(m.base), id), aloneMark, nil); err == nil {
				continue
			}
			if pids, err := g.Procs(); err != nil || len(pids) > 0 {
				continue
			}
			r := state.Orphan{Kind: "cgroup", Name: filepath.Join(t.dir(m.base), id), Reason: "no container runs in it",
				Remove: func(ctx context.Context) error {
					return m.dir.IfAtMost(id, state.Stopped, func() error { return g.Remove(ctx) })
				}}
			switch age, prepared := preparedFor(r.Name); {
			case prepared && age < state.Forgotten:
				continue
			case prepared && age < state.Lost:
				r.Kept, r.Remove = true, nil
				r.Reason = "prepared, and its document was not run: md-cgroup delete " + id + " removes it"
			}
			found = append(found, r)
		}
	}
	return found, errors.Join(errs...)
}
