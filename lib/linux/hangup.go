package linux

import (
	"os/signal"
	"syscall"
)

// hangupIgnored is read when the process starts: catching the signal would hide it.
var hangupIgnored = signal.Ignored(syscall.SIGHUP)

// HangupIgnored reports whether the process was started with SIGHUP ignored, as nohup(1) does: the end of
// the terminal is then to end neither it nor what it runs.
func HangupIgnored() bool { return hangupIgnored }
