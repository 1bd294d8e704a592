package monitor

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// rouseTime is how long a monitor that stood still has to go on, before it is replaced.
const rouseTime = 2 * time.Second

// Rouse lets the monitor of a container go on that stands still by a signal: nothing of the container's output, and
// nothing of its end, would be seen before. One that a debugger holds does not go on by that, and is ended where the
// program has ended: its work is then that of [Runtime.Recover]. With it, the program ends.
func (r *Runtime) Rouse(c *state.Container) {
	if !c.Run.Monitor.Stopped() {
		return
	}
	monitor, err := c.Run.Monitor.Open()
	if err != nil {
		return
	}
	defer monitor.Close()
	_ = linux.PidfdSignal(monitor, syscall.SIGCONT)
	for end := time.Now().Add(rouseTime); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !c.Run.Monitor.Stopped() {
			r.Warn("%s: its monitor, process %d, was stopped by a signal, and goes on now", c.Spec.Name(), c.Run.Monitor.Number())
			return
		}
	}
	if c.Run.Init.Life() != state.Dead || !c.Run.Restart.IsZero() && r.dir.Look(c.ID).Program != state.Dead {
		r.Warn("%s: its monitor, process %d, is stopped and does not go on: a debugger may hold it", c.Spec.Name(), c.Run.Monitor.Number())
		return
	}
	r.replace(c, monitor)
}

// replace ends a monitor that does not go on, and notes the end of the program in its place.
func (r *Runtime) replace(c *state.Container, monitor *os.File) {
	unlock, err := r.dir.Lock(c.ID)
	if err != nil {
		return
	}
	defer unlock()
	code, known := c.Run.Init.ExitCode() // while it is there: its parent has not asked for it
	if err := linux.PidfdSignal(monitor, syscall.SIGKILL); err != nil {
		return
	}
	_, _ = linux.PidfdWait(monitor, int(rouseTime.Milliseconds()))
	r.Warn("%s: its monitor, process %d, was stopped and did not go on: it was killed", c.Spec.Name(), c.Run.Monitor.PID)
	life, err := r.dir.ReadSpawn(c.ID)
	if known && err == nil && r.dir.Kept(c.ID) && life.Finished.IsZero() {
		life.Finished, life.ExitCode = time.Now(), code
		_ = r.writeLife(c.ID, life) // else it is noted as killed
	}
}

// SettleEnd waits for the end of the last run of a container that is to start: its monitor may not have seen it yet.
func (r *Runtime) SettleEnd(ctx context.Context, c *state.Container) error {
	if c.Running || !c.Monitored || c.Restarting() {
		return nil
	}
	return errors.Join(r.Settle(ctx, c), ctx.Err())
}
