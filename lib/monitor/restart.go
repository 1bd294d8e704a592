package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Policies are a container's restart policy and the bounds of its log.
type Policies struct {
	Restart string   `placeholder:"POLICY" help:"Start the program again when it ends: no, on-failure[:N] (at most N times), always or unless-stopped (default: no)"`
	LogOpt  []string `sep:"none" placeholder:"KEY=VALUE" help:"Bound the log: max-size=SIZE of a file (10m; -1: no bound), max-file=N files (3)"`
}

// Check returns what is wrong with the policies of a container; keep says that it is kept when its program ends.
func (p Policies) Check(keep bool) error {
	policy, err := parseRestart(p.Restart)
	if err != nil {
		return fmt.Errorf("--restart %.60q: %w", p.Restart, err)
	}
	if policy.word != "" && !keep {
		return fmt.Errorf("--restart %s: a container that is removed when it ends cannot be started again", p.Restart)
	}
	if _, err := crilog.ParseBounds(strings.Join(p.LogOpt, ",")); err != nil {
		return fmt.Errorf("--log-opt %w", err)
	}
	return nil
}

// Annotate writes the policies into the document, where the monitor reads them at each start.
func (p Policies) Annotate(s *spec.Spec) {
	if policy, _ := parseRestart(p.Restart); policy.word != "" {
		s.Annotate(spec.AnnotationRestart, p.Restart)
	}
	if len(p.LogOpt) > 0 {
		s.Annotate(spec.AnnotationLogOpts, strings.Join(p.LogOpt, ","))
	}
}

// The restart policies other than "no".
const (
	restartFailure = "on-failure"
	restartAlways  = "always"
	restartUnless  = "unless-stopped"
)

// The pauses before restarts: each is twice the one before, and the first again after a run of longRun.
const (
	firstPause = 100 * time.Millisecond
	longPause  = time.Minute
	longRun    = 10 * time.Second
)

// restartPolicy is a policy's word, "" for none, and the most restarts of on-failure, 0 for no limit.
type restartPolicy struct {
	word string
	most int
}

func parseRestart(s string) (restartPolicy, error) {
	word, count, counted := strings.Cut(s, ":")
	p := restartPolicy{word: word}
	switch {
	case counted && word != restartFailure:
	case word == "" || word == "no":
		return restartPolicy{}, nil
	case word == restartAlways || word == restartUnless || word == restartFailure && !counted:
		return p, nil
	case word == restartFailure:
		var err error
		if p.most, err = strconv.Atoi(count); err == nil && p.most >= 0 {
			return p, nil
		}
	}
	return restartPolicy{}, errors.New("want no, on-failure[:N], always or unless-stopped")
}

// wants reports whether the policy starts a program again that has ended as life says.
func (p restartPolicy) wants(life state.Spawn) bool {
	switch {
	case p.word == "" || life.Stopped:
		return false
	case p.word == restartFailure:
		return life.ExitCode != 0 && (p.most == 0 || life.Restarts < p.most)
	}
	return true
}

// StartsAtBoot reports whether container c is started when the machine boots, as with docker: one with policy always, and
// one with policy unless-stopped that no user has stopped.
func StartsAtBoot(c *state.Container) bool {
	switch policyOf(c.Spec).word {
	case restartAlways:
		return true
	case restartUnless:
		return !c.Spawn.Stopped
	}
	return false
}

// pause returns the pause before the next restart, by the last pause and how long the program ran.
func pause(last, ran time.Duration) time.Duration {
	if last == 0 || ran >= longRun {
		return firstPause
	}
	return min(2*last, longPause)
}

// GiveUp suspends the restart policy of a container that a user stops, and returns the container as it is then: running or
// ended. That survives a reboot, until a user starts the container.
func (r *Runtime) GiveUp(ctx context.Context, c *state.Container) (*state.Container, error) {
	r.Rouse(c)
	if policyOf(c.Spec).word == "" || !r.dir.Kept(c.ID) {
		return c, nil
	}
	if err := r.noteStop(c.ID); err != nil {
		return c, err
	}
	for {
		now, _, err := r.dir.LoadAnyway(c.ID)
		if err != nil || !now.Restarting() {
			return now, err
		}
		r.Rouse(now)
		if err := nudge(now); err != nil { // the monitor releases it, or has just started it again
			return now, err
		}
		select {
		case <-ctx.Done():
			return now, interrupt.Cancelled(ctx)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (r *Runtime) noteStop(id string) error {
	unlock, err := r.dir.LockChanging(id)
	if err != nil {
		return err
	}
	defer unlock()
	life, err := r.dir.ReadSpawn(id)
	if err == nil && life.Stopped {
		return nil
	}
	life.Stopped = true // a torn file is replaced
	return r.writeLife(id, life)
}

// nudge wakes a monitor that is about to restart a container: it then checks whether a user has stopped the container.
func nudge(c *state.Container) error {
	pidfd, err := c.Run.Monitor.Open()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signal the monitor of container %s: %w", c.ID, err)
	}
	defer pidfd.Close()
	if err := linux.PidfdSignal(pidfd, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal the monitor of container %s: %w", c.ID, err)
	}
	return nil
}

// givenUp waits for the pause before a restart, and reports whether a user has stopped the container by then.
func (r *Runtime) givenUp(ctx context.Context, id string, pause time.Duration, wake <-chan os.Signal) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for passed := false; ; {
		unlock, err := r.dir.Lock(id)
		if err != nil {
			return true
		}
		life, err := r.dir.ReadSpawn(id)
		unlock()
		if err != nil || life.Stopped || !r.dir.Kept(id) {
			return true
		}
		if passed {
			return false
		}
		select {
		case <-ctx.Done():
			return true
		case <-wake:
		case <-timer.C:
			passed = true
		}
	}
}
