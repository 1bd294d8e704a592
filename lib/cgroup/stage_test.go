package cgroup

import (
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// The stage sets linux.cgroupsPath, linux.resources and its release hook. It works while other stages
// remove cgroups of the same parent.
func TestCreateInParallel(t *testing.T) {
	m := stageManager(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 10 {
				s := spec.New(state.NewID())
				if err := m.Create(Options{Limits: Limits{Memory: ptr[Size](32 << 20)}})(t.Context(), s); err != nil {
					t.Error(err)
					return
				}
				if s.Linux.CgroupsPath != m.base+"/"+s.ID() || *s.Linux.Resources.Memory.Limit != 32<<20 || len(s.Hooks.Poststop) != 1 {
					t.Errorf("document: %+v, %+v", s.Linux, s.Hooks)
				}
				if err := m.Delete(t.Context(), s.ID()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	checkGone(t, m.base)
}

// If the kernel refuses a value, the cgroup is removed again.
func TestFailedCreateLeavesNothing(t *testing.T) {
	requireRoot(t)
	m := New(state.Dir{Root: "/nonexistent", Run: "/nonexistent"})
	m.base = "/mydocker-test-" + state.NewID()
	s := spec.New(state.NewID())
	s.Linux.Resources = &specs.LinuxResources{Unified: map[string]string{"cgroup.nosuchfile": "1"}}
	if err := m.Create(Options{})(t.Context(), s); err == nil || !strings.Contains(err.Error(), "linux.resources.unified") {
		t.Fatalf("write a file that does not exist: %v", err)
	}
	if s.Linux.CgroupsPath != "" || len(s.Linux.Resources.Devices) != 0 || s.Hooks != nil {
		t.Errorf("the document was changed: %+v", s.Linux)
	}
	checkGone(t, m.base)
}
