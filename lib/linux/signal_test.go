package linux

import (
	"strings"
	"syscall"
	"testing"
)

func TestSignalNumber(t *testing.T) {
	for name, want := range map[string]syscall.Signal{
		"TERM": 15, "SIGTERM": 15, "sigterm": 15, "term": 15, "15": 15, "KILL": 9, "9": 9, "1": 1, "64": 64, "SIGUSR1": 10,
		"SIGRTMIN+3": 37, "rtmin+0": 34, "SIGWINCH": 28,
	} {
		if got, err := SignalNumber(name); got != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"", "0", "65", "-1", "015", "9x", " 9", "SIG", "SIGNOTHING", "RTMIN+31", "RTMIN+-1", "RTMIN+3x", "RTMIN++3", "TERM\n", strings.Repeat("T", 500)} {
		if got, err := SignalNumber(name); err == nil || len(err.Error()) > 200 {
			t.Errorf("%q: %d, %v", name, got, err)
		}
	}
	if SignalName(15) != "SIGTERM" || SignalName(40) != "SIG40" {
		t.Error(SignalName(15), SignalName(40))
	}
}
