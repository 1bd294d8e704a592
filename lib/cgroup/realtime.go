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

// raiseParentRealtime raises the realtime budget of the parent cgroup to the sum of its children's: a new
// cgroup has none, and the kernel refuses children that together exceed their parent
// (scheduler/sched-rt-group.rst). The budget is not lowered; it ends when the parent is removed.
func (g *Group) raiseParentRealtime(s step) error {
	parent := filepath.Dir(g.Path)
	if parent == "/" {
		return nil // sched_rt_runtime_us is the root's budget
	}
	period, err := readWord(filepath.Join(s.tree.dir(g.Path), rtPeriod))
	if err != nil {
		return nil // no realtime budgets in this kernel: the caller's write returns the error
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
		return fmt.Errorf("%s %s: exceeds the realtime budget of the host (/proc/sys/kernel/sched_rt_runtime_us): %w",
			s.flag, s.value, err)
	}
	return nil
}

// budget returns the realtime budget of the cgroup in dir, as [ratio] does.
func budget(dir string) int64 {
	runtime, _ := readWord(filepath.Join(dir, rtRuntime))
	period, _ := readWord(filepath.Join(dir, rtPeriod))
	return ratio(runtime, period)
}
