package monitor

import (
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

func TestParseRestart(t *testing.T) {
	tests := []struct {
		word string
		want restartPolicy
		ok   bool
	}{
		{"", restartPolicy{}, true}, {"no", restartPolicy{}, true},
		{"always", restartPolicy{restartAlways, 0}, true}, {"unless-stopped", restartPolicy{restartUnless, 0}, true},
		{"on-failure", restartPolicy{restartFailure, 0}, true}, {"on-failure:0", restartPolicy{restartFailure, 0}, true},
		{"on-failure:3", restartPolicy{restartFailure, 3}, true},
		{"on-failure:", restartPolicy{}, false}, {"on-failure:-1", restartPolicy{}, false}, {"on-failure:x", restartPolicy{}, false},
		{"always:3", restartPolicy{}, false}, {"no:1", restartPolicy{}, false}, {"Always", restartPolicy{}, false}, {" ", restartPolicy{}, false},
	}
	for _, tt := range tests {
		if got, err := parseRestart(tt.word); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q: %+v, %v", tt.word, got, err)
		}
	}
}

func TestWants(t *testing.T) {
	tests := []struct {
		policy string
		life   state.Spawn
		want   bool
	}{
		{"no", state.Spawn{ExitCode: 1}, false},
		{"always", state.Spawn{}, true}, {"always", state.Spawn{Stopped: true}, false},
		{"unless-stopped", state.Spawn{Restarts: 1000}, true}, {"unless-stopped", state.Spawn{Stopped: true}, false},
		{"on-failure", state.Spawn{}, false}, {"on-failure", state.Spawn{ExitCode: 137, Restarts: 1000}, true},
		{"on-failure:2", state.Spawn{ExitCode: 1, Restarts: 1}, true}, {"on-failure:2", state.Spawn{ExitCode: 1, Restarts: 2}, false},
		{"on-failure:2", state.Spawn{ExitCode: 1, Stopped: true}, false},
	}
	for _, tt := range tests {
		p, err := parseRestart(tt.policy)
		must(t, err)
		if got := p.wants(tt.life); got != tt.want {
			t.Errorf("%s, %+v: %v", tt.policy, tt.life, got)
		}
	}
}

// TestPause: the pause doubles from 100 ms to a minute, and begins again after a run of ten seconds.
func TestPause(t *testing.T) {
	var all []time.Duration
	last := time.Duration(0)
	for range 12 {
		last = pause(last, time.Millisecond)
		all = append(all, last)
	}
	want := []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000}
	for i := range want {
		if all[i] != want[i]*time.Millisecond {
			t.Fatalf("%v", all)
		}
	}
	if got := pause(time.Minute, 10*time.Second); got != 100*time.Millisecond {
		t.Errorf("after a long run: %v", got)
	}
	if got := pause(time.Second, 9*time.Second); got != 2*time.Second {
		t.Errorf("after a short run: %v", got)
	}
}

func TestStartsAtBoot(t *testing.T) {
	for _, tt := range []struct {
		policy  string
		stopped bool
		want    bool
	}{
		{"", false, false}, {"on-failure", false, false}, {"always", false, true}, {"always", true, true},
		{"unless-stopped", false, true}, {"unless-stopped", true, false},
	} {
		s := spec.New(state.NewID())
		Policies{Restart: tt.policy}.Annotate(s)
		if got := StartsAtBoot(&state.Container{Spec: s, Spawn: state.Spawn{Stopped: tt.stopped}}); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestPoliciesThatCannotBe(t *testing.T) {
	for _, p := range []Policies{
		{Restart: "sometimes"}, {LogOpt: []string{"max-size=1"}}, {LogOpt: []string{"max-size"}}, {LogOpt: []string{"max-file=0"}},
		{LogOpt: []string{"max-file=x"}}, {LogOpt: []string{"compress=true"}}, {LogOpt: []string{"max-size=-2"}},
	} {
		if p.Check(true) == nil {
			t.Errorf("%+v is accepted", p)
		}
	}
	if (Policies{Restart: "always"}).Check(false) == nil {
		t.Error("always, of a container that is removed")
	}
	if err := (Policies{Restart: "no", LogOpt: []string{"max-size=-1", "max-file=1000"}}).Check(false); err != nil {
		t.Error(err)
	}
}
