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

	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// MonitorArg is the first argument that makes md-spawn the monitor of a detached container: md-spawn
// monitor ID. It reports on descriptor 3 in one JSON line, an [*Error] or null, and stays.
const MonitorArg = "monitor"

const reportFD = 3

// Words to the monitor behind the id.
const (
	debugWord = "debug"
	againWord = "again" // the program ran before, and is started by its restart policy
	portsWord = "ports" // the sockets of its ports follow the report's descriptor: ports=4-9
)

// detach runs a registered container in the background and returns when its program runs. Where ctx ends before, it does
// not come to run. The monitor gets the sockets of the container's ports, which are closed here.
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
	if program, err := linux.OpenReadOnly(path); err == nil { // as package guard would do it a second time
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
	// What our caller holds open, a pipe that somebody reads to its end, is not for those who stay.
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
		err = spawn.Cancelled(ctx)
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
		_ = cmd.Wait() // it has said why
		return failure
	}
	return cmd.Process.Release()
}

// readReport reads what a monitor says, as long as ctx lasts.
func readReport(ctx context.Context, ours *os.File) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = ours.SetReadDeadline(spawn.Past()) })
	defer stop()
	report, err := io.ReadAll(ours)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = spawn.Cancelled(ctx)
	}
	return report, err
}

// kill ends a monitor that is starting a container, and with it the container's first process, which asked for that.
func (r *Runtime) kill(id string, monitor *exec.Cmd) {
	_ = monitor.Process.Kill() // it may have ended
	_ = monitor.Wait()
	run, err := r.dir.ReadRun(id)
	if err != nil || !run.Init.Alive() {
		return
	}
	const enough = 300 // milliseconds; the release kills what is left in the control group
	_, _ = r.Wait(&state.Container{Run: run}, enough)
}

// Monitor is the program behind [MonitorArg], with the words that follow it.
func (r *Runtime) Monitor(ctx context.Context, args []string) int {
	id := args[0]
	report := os.NewFile(reportFD, "report")
	told := false
	tell := func(err error) {
		if told {
			return
		}
		told = true
		if err == nil { // with --debug it is the caller's, which may be a pipe that is read to its end
			_ = linux.NullStderr()
		}
		var failure *spawn.Error
		if err != nil {
			failure = spawn.AsError(err)
		}
		data, _ := json.Marshal(failure) // a struct of plain fields always encodes
		_, _ = report.Write(append(data, '\n'))
		report.Close()
	}
	// A signal to us is one to the program, and between two of its lives a sign that somebody stops it.
	wake := make(chan os.Signal, 1)
	signal.Notify(wake, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	o := Options{Streams: spawn.Streams{Out: io.Discard, Err: io.Discard}, wake: wake}
	if len(args) > 1 && args[1] == watchWord {
		return exitOf(r.watch(ctx, id, args[2:], o))
	}
	err := r.note(id, state.Process{}) // whoever started us, and perhaps has the lock, may be killed
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
