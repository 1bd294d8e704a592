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

// rouseTime is how long a stopped monitor may take to continue before it is replaced.
const rouseTime = 2 * time.Second

// Rouse continues the monitor of a container that was stopped by a signal: until it continues, neither output nor the end
// of the program is recorded. A monitor that a debugger holds does not continue. Rouse kills it if the program has ended,
// and leaves the rest to [Runtime.Recover]. While the program runs, Rouse only warns: the program would die with the monitor.
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
			r.Warn("%s: the monitor, process %d, was stopped by a signal: it continues now", c.Spec.Name(), c.Run.Monitor.Number())
			return
		}
	}
	if c.Run.Init.Life() != state.Dead || !c.Run.Restart.IsZero() && r.dir.Look(c.ID).Program != state.Dead {
		r.Warn("%s: the monitor, process %d, is stopped and does not continue: a debugger may hold it", c.Spec.Name(), c.Run.Monitor.Number())
		return
	}
	r.replace(c, monitor)
}

// replace kills a monitor that does not continue, and records the end of the program.
func (r *Runtime) replace(c *state.Container, monitor *os.File) {
	unlock, err := r.dir.Lock(c.ID)
	if err != nil {
		return
	}
	defer unlock()
	pid := c.Run.Monitor.Number()
	code, known := c.Run.Init.ExitCode() // now, while the zombie is there: its parent has not reaped it
	if err := linux.PidfdSignal(monitor, syscall.SIGKILL); err != nil {
		return
	}
	_, _ = linux.PidfdWait(monitor, int(rouseTime.Milliseconds()))
	r.Warn("%s: the monitor, process %d, was stopped and did not continue: it was killed", c.Spec.Name(), pid)
	life, err := r.dir.ReadSpawn(c.ID)
	if known && err == nil && r.dir.Kept(c.ID) && life.Finished.IsZero() {
		life.Finished, life.ExitCode = time.Now(), code
		_ = r.writeLife(c.ID, life) // else Recover records it as killed
	}
}

// SettleEnd waits until the monitor has dealt with the end of the last run of a container that is to start.
func (r *Runtime) SettleEnd(ctx context.Context, c *state.Container) error {
	if c.Running || !c.Monitored || c.Restarting() {
		return nil
	}
	return errors.Join(r.Settle(ctx, c), ctx.Err())
}
