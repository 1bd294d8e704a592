package linux

import (
	"fmt"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// SignalNumber returns the number of a signal given as TERM, SIGTERM, sigterm or 15.
func SignalNumber(name string) (syscall.Signal, error) {
	var n int
	if _, err := fmt.Sscanf(name, "%d", &n); err == nil && fmt.Sprint(n) == name {
		if n < 1 || n > 64 {
			return 0, fmt.Errorf("signal %s: want 1 to 64", name)
		}
		return syscall.Signal(n), nil
	}
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if n := unix.SignalNum(upper); n != 0 {
		return n, nil
	}
	if text, ok := strings.CutPrefix(upper, "SIGRTMIN+"); ok {
		if offset, err := strconv.ParseUint(text, 10, 8); err == nil && offset <= 30 {
			return syscall.Signal(34 + offset), nil
		}
	}
	return 0, fmt.Errorf("signal %.40q: no such signal: want a name such as SIGTERM or a number", name)
}

// SignalName returns the name of a signal: SIGTERM for 15.
func SignalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprintf("SIG%d", int(sig))
}

// hangupIgnored is read at the start, because catching the signal hides it.
var hangupIgnored = signal.Ignored(syscall.SIGHUP)

// HangupIgnored reports whether the process was started with SIGHUP ignored, as by nohup(1). The end of the terminal
// must then end neither this process nor the programs that it runs.
func HangupIgnored() bool { return hangupIgnored }
