package spawn

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// ReapArg is the first argument of the small init that stays in a container as PID 1 (--init): md-spawn reap PATH
// ARGV...
const ReapArg = "reap"

// openReaper opens our own program for a child that cannot reach its path.
func openReaper() (*os.File, error) {
	path, err := spec.Sibling("md-spawn")
	if err != nil {
		return nil, err
	}
	return linux.OpenReadOnly(path)
}

// Reap starts the program, passes signals on to it, reaps the orphans of the pid namespace, and returns the program's
// exit code when it ends.
func Reap(args []string) int {
	if len(args) < 2 {
		return 125
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	attr := &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
		// A process group of its own, so that the program gets a signal from the terminal only once.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	}
	if linux.IsTerminal(0) {
		attr.Sys.Foreground = true
	}
	pid, err := syscall.ForkExec(args[0], args[1:], attr)
	if err != nil {
		e := execError(args[1], err)
		fmt.Fprintln(os.Stderr, "md-spawn:", e.Text)
		return e.ExitStatus()
	}
	for sig := range signals {
		switch n := sig.(syscall.Signal); n {
		case syscall.SIGCHLD:
			if code, ended := collect(pid); ended {
				return code
			}
		case syscall.SIGURG, syscall.SIGPIPE, syscall.SIGTTOU, syscall.SIGTTIN: // Go's own signals, and job control of this process
		default:
			_ = syscall.Kill(pid, n) // if it has ended, SIGCHLD follows
		}
	}
	return 125
}

// collect reaps all processes that have ended, and reports whether the program was one of them.
func collect(program int) (code int, ended bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return code, ended
		}
		if pid == program && (status.Exited() || status.Signaled()) {
			code, ended = exitCode(status), true
		}
	}
}
