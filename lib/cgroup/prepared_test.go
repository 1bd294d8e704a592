package cgroup

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// The cgroup of a document that is not run is no orphan before state.Forgotten, then a listed one that is kept, and after
// state.Lost one that can be removed.
func TestPreparedGroupBecomesOrphan(t *testing.T) {
	m := stageManager(t)
	s := spec.New(state.NewID())
	if err := m.Create(Options{})(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	defer checkGone(t, m.base)
	defer func() {
		if err := m.Delete(t.Context(), s.ID()); err != nil {
			t.Error(err)
		}
	}()
	g, err := m.Open(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		age                  time.Duration
		named, kept, removal bool
	}{
		{0, false, false, false},
		{state.Forgotten - time.Minute, false, false, false},
		{state.Forgotten + time.Minute, true, true, false},
		{state.Lost - time.Minute, true, true, false},
		{state.Lost + time.Minute, true, false, true},
	} {
		then := []byte(strconv.FormatInt(time.Now().Add(-test.age).Unix(), 10))
		for _, tree := range g.trees {
			if err := syscall.Setxattr(tree.dir(g.Path), preparedMark, then, 0); err != nil {
				t.Fatal(err)
			}
		}
		found, err := m.Orphans()
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 1 || test.named != (len(found) == 1) {
			t.Errorf("after %v: found %+v", test.age, found)
		} else if test.named && (found[0].Kept != test.kept || test.removal != (found[0].Remove != nil)) {
			t.Errorf("after %v: kept %v, removal %v", test.age, found[0].Kept, found[0].Remove != nil)
		}
	}
	found, err := m.Orphans()
	if err == nil && len(found) == 1 {
		err = found[0].Remove(t.Context())
	}
	if err != nil || g.Exists() {
		t.Errorf("not removed: %v", err)
	}
}
