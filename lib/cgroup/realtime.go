package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

const (
	rtRuntime = "cpu.rt_runtime_us"
	rtPeriod  = "cpu.rt_period_us"
)

// lendRealtime raises the realtime budget of the parent group so that the group's own fits beside
// those of its siblings: a new group has none to give, and the kernel refuses children that
// have more than their parent together (scheduler/sched-rt-group.rst). The parent's budget goes with
// the parent, after the last group in it.
func (g *Group) lendRealtime(s step) error {
	parent := filepath.Dir(g.Path)
	if parent == "/" {
		return nil // the host's root has its budget by sched_rt_runtime_us
	}
	period, err := readWord(filepath.Join(s.tree.dir(g.Path), rtPeriod))
	if err != nil {
		return nil // the kernel has no budgets: writing the group's own says so
	}
	need := ratio(s.value, period)
	dir := s.tree.dir(parent)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != filepath.Base(g.Path) {
			need += budget(filepath.Join(dir, e.Name()))
		}
	}
	if need <= budget(dir) {
		return nil
	}
	period, err = readWord(filepath.Join(dir, rtPeriod))
	if err != nil {
		return err
	}
	us, err := strconv.ParseInt(period, 10, 64)
	if err != nil {
		return err
	}
	runtime := (need*us + 1<<20 - 1) >> 20 // rounded up, as ratios are rounded down
	if err := write(filepath.Join(dir, rtRuntime), number(runtime)); err != nil {
		return fmt.Errorf("%s %s: the host's realtime budget is spent: see /proc/sys/kernel/sched_rt_runtime_us: %w",
			s.flag, s.value, err)
	}
	return nil
}

// budget is the realtime share that the group in dir may give away.
func budget(dir string) int64 {
	runtime, _ := readWord(filepath.Join(dir, rtRuntime))
	period, _ := readWord(filepath.Join(dir, rtPeriod))
	return ratio(runtime, period)
}
