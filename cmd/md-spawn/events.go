package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/bundle"
	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/spawn"
)

type events struct {
	Stats    bool          `help:"Print the statistics once"`
	Interval time.Duration `default:"5s" help:"Time between statistics"`
	ID       string        `arg:"" help:"Id of a container"`

	engine *engine
}

// Run implements cli.Runner.
func (c *events) Run(ctx context.Context, std *cli.IO) error {
	return c.engine.with(c.ID, func(b *bundle.Container) error {
		kills := uint64(0)
		for first := true; ; first = false {
			if b.Status() == specs.StateStopped {
				if first {
					return spawn.ErrNotRunning
				}
				return nil
			}
			stats, err := b.Stats()
			if err != nil {
				return err
			}
			if m := stats.Memory; m != nil && !c.Stats {
				for ; !first && kills < m.OOMKills; kills++ {
					if err := printEvent(std, event{Type: "oom", ID: c.ID}); err != nil {
						return err
					}
				}
				kills = m.OOMKills
			}
			if err := printEvent(std, event{Type: "stats", ID: c.ID, Data: runcStats(stats)}); err != nil || c.Stats {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(c.Interval):
			}
		}
	})
}

// event is a line of `runc events`; engines know its field names.
type event struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

func printEvent(std *cli.IO, e event) error {
	data, err := json.Marshal(e)
	if err == nil {
		_, err = fmt.Fprintf(cli.Screen(std.Out), "%s\n", data)
	}
	return err
}

type object = map[string]any

// runcStats returns statistics under the names of runc's types/events.go.
func runcStats(s cgroup.Stats) object {
	data := object{}
	if c := s.CPU; c != nil {
		data["cpu"] = object{
			"usage":      object{"total": c.Usage, "kernel": c.System, "user": c.User},
			"throttling": object{"periods": c.Periods, "throttledPeriods": c.ThrottledPeriods, "throttledTime": c.Throttled},
		}
	}
	if m := s.Memory; m != nil {
		usage := object{"usage": m.Usage, "max": m.Peak, "failcnt": m.OOMKills}
		if m.Limit != nil {
			usage["limit"] = *m.Limit
		}
		data["memory"] = object{"usage": usage, "cache": m.Cache, "swap": object{"usage": m.Swap}}
	}
	if p := s.Pids; p != nil {
		pids := object{"current": p.Current}
		if p.Limit != nil {
			pids["limit"] = *p.Limit
		}
		data["pids"] = pids
	}
	return data
}
