package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// MonitorArg is the first argument of the monitor of a detached container: md-spawn monitor ID. The monitor reports on
// descriptor 3, in one line of JSON that is a [spawn.Error] or null, and stays.
const MonitorArg = "monitor"

const reportFD = 3

// Words that follow the id.
const (
	debugWord = "debug"
	againWord = "again" // the restart policy starts the program, which ran before
	portsWord = "ports" // the sockets of its host ports, after the report's descriptor: ports=4-9
)

// detach runs a registered container in the background and returns when its program runs. If ctx ends first, the program
// does not run. The monitor gets the sockets of the host ports; they are closed here.
func (r *Runtime) detach(ctx context.Context, id string, ports []*os.File, words ...string) error {
	defer func() {
		for _, f := range ports {
			f.Close()
		}
	}()
	path, err := spec.Sibling("md-spawn")
	if err != nil {
		return err
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ours.Close()
	place := path
	if program, err := linux.OpenReadOnly(path); err == nil { // saves package guard a second execve(2)
		defer program.Close()
		place = linux.FDPath(program)
	}
	args := append([]string{path, MonitorArg, id}, words...)
	if linux.Tracing() {
		args = append(args, debugWord)
	}
	if n := len(ports); n > 0 {
		args = append(args, fmt.Sprintf("%s=%d-%d", portsWord, reportFD+1, reportFD+n))
	}
	cmd := &exec.Cmd{
		Path: place, Args: args, Env: append(r.dir.Env(), "GOMAXPROCS=1", "PATH="+os.Getenv("PATH")),
		ExtraFiles:  append([]*os.File{theirs}, ports...),
		Dir:         "/",
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}, // it outlives the terminal
	}
	if linux.Tracing() {
		cmd.Stderr = os.Stderr
	}
	// The monitor must not hold the caller's pipes open: their readers wait for the end.
	if err := linux.CloseOnExecFrom(3); err != nil {
		return fmt.Errorf("start the monitor: %w", errors.Join(err, theirs.Close()))
	}
	linux.Trace("setsid", path, MonitorArg, id, "&")
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("start the monitor: %w", err)
	}
	report, err := readReport(ctx, ours)
	if err == nil && len(report) == 0 {
		err = interrupt.Cancelled(ctx)
	}
	if err != nil {
		r.kill(id, cmd)
		return fmt.Errorf("start the monitor: %w", err)
	}
	var failure *spawn.Error
	if err := decodeLine(report, &failure); err != nil {
		return fmt.Errorf("start the monitor: %w", errors.Join(err, cmd.Wait()))
	}
	if failure != nil {
		_ = cmd.Wait() // it has reported why
		return failure
	}
	return cmd.Process.Release()
}

// readReport reads a monitor's report, until ctx ends.
func readReport(ctx context.Context, ours *os.File) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = ours.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	report, err := io.ReadAll(ours)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = interrupt.Cancelled(ctx)
	}
	return report, err
}

// kill kills a monitor that is starting a container. The container's first process dies with it (PR_SET_PDEATHSIG).
func (r *Runtime) kill(id string, monitor *exec.Cmd) {
	_ = monitor.Process.Kill() // it may have ended
	_ = monitor.Wait()
	run, err := r.dir.ReadRun(id)
	if err != nil || !run.Init.Alive() {
		return
	}
	const enough = 300 // milliseconds; the release kills the rest of the control group
	_, _ = r.Handle(&state.Container{ID: id, Run: run, Running: true}).Wait(enough)
}

// Monitor is the monitor's program. args are the words after [MonitorArg]; it returns the exit code.
func (r *Runtime) Monitor(ctx context.Context, args []string) int {
	id := args[0]
	report := os.NewFile(reportFD, "report")
	told := false
	tell := func(err error) {
		if told {
			return
		}
		told = true
		if err == nil { // with --debug, standard error may be a pipe whose reader waits for its end
			_ = linux.NullStderr()
		}
		var failure *spawn.Error
		if err != nil {
			failure = spawn.AsError(err)
		}
		data, _ := json.Marshal(failure) // plain fields always encode
		_, _ = report.Write(append(data, '\n'))
		report.Close()
	}
	// A signal to the monitor is passed on to the program. Between two runs it says that a command stops the container.
	wake := make(chan os.Signal, 1)
	signal.Notify(wake, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	o := Options{Streams: spawn.Streams{Out: io.Discard, Err: io.Discard}, wake: wake}
	if len(args) > 1 && args[1] == watchWord {
		return exitOf(r.watch(ctx, id, args[2:], o))
	}
	err := r.note(id, state.Process{}) // the command that started us, and may hold the lock, may be killed
	c, loadErr := r.dir.Load(id)
	var portsErr error
	for _, word := range args[1:] {
		if list, ok := strings.CutPrefix(word, portsWord+"="); ok {
			o.ports, portsErr = hostport.Adopt(list)
		}
	}
	if err = errors.Join(err, loadErr, portsErr); err != nil {
		tell(err)
		return 1
	}
	o.Interactive = c.Spec.Annotation(spec.AnnotationInteractive) == "true"
	code, err := r.run(ctx, c.Spec, o, func() error {
		err := r.started(id, slices.Contains(args[1:], againWord))
		tell(err)
		return err
	})
	tell(err)
	return exitOf(code, err)
}

func exitOf(code int, err error) int {
	if err != nil {
		return 1
	}
	return code
}
