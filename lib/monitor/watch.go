package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/hostport"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
)

// A monitor has little to do, perhaps for months, and there may be hundreds of them. What the start of a container
// took of memory, Go would not give back, and its collector's own tables take as much again. So when the program
// runs, the monitor executes md-spawn anew: execve(2) keeps the pid, the children and the descriptors that are
// handed on, and nothing else. What it has to know stands in its arguments:
//
//	md-spawn monitor ID watch PID OUT ERR IN TERMINAL BEGUN WAIT KILLS LOCK LOG-OPTIONS PORTS
const watchWord = "watch"

// watchForm is PID, the descriptors of the streams (-1: none), whether they are a terminal, when the run began in
// nanoseconds since 1970, the pause before it in nanoseconds, what the group's count of kills was, and the descriptor of
// the lock that says that the monitor is there. PORTS are the descriptors of the sockets that hold the container's ports.
const watchForm = "%d %d %d %d %t %d %d %d %d"

// watchWords is how many words follow: those of watchForm, LOG-OPTIONS and PORTS.
const watchWords = 11

// shrink makes a monitor small. It returns where it cannot, or need not: the container has ended.
func (t *supervision) shrink(s *spec.Spec, c *spawn.Child, p *spawn.Pump) {
	if c.Become == nil {
		return
	}
	fds := [3]int{-1, -1, -1}
	files := []*os.File{c.Console}
	if c.Console == nil {
		files = append(append([]*os.File(nil), p.Outputs...), p.Input)
	}
	for i, f := range files {
		if f != nil {
			fds[i] = linux.RawFD(f)
		}
	}
	words := fmt.Sprintf(watchForm, c.PID, fds[0], fds[1], fds[2], c.Console != nil, t.begun.UnixNano(), t.wait, t.kills, linux.RawFD(t.attended))
	args := append([]string{os.Args[0], MonitorArg, s.ID(), watchWord}, strings.Fields(words)...)
	args = append(args, s.Annotation(spec.AnnotationLogOpts), hostport.Word(t.ports.FDs()))
	failed := make(chan error)
	select {
	case <-c.Ended:
	case c.Become <- func() {
		err := linux.ExecSelf(args, append(append(fds[:], linux.RawFD(t.attended)), t.ports.FDs()...))
		failed <- err
	}:
		<-failed // and goes on as it is
	}
}

// watch is what a monitor does from when the program runs on.
func (r *Runtime) watch(ctx context.Context, id string, words []string, o Options) (int, error) {
	var fds [3]int
	var terminal bool
	var begun int64
	lock := -1
	if len(words) != watchWords {
		return 0, errors.New("watch: only a monitor starts it")
	}
	ports, err := hostport.Adopt(words[10])
	if err != nil {
		return 0, fmt.Errorf("watch: %w", err)
	}
	t := &supervision{Runtime: r.releasing(ports), o: o, ports: ports}
	c := &spawn.Child{Ended: make(chan struct{})}
	_, err = fmt.Sscanf(strings.Join(words[:9], " "), watchForm, &c.PID, &fds[0], &fds[1], &fds[2], &terminal, &begun, &t.wait, &t.kills, &lock)
	if err != nil {
		return 0, fmt.Errorf("watch: %w", err)
	}
	t.begun = time.Unix(0, begun)
	if t.attended = os.NewFile(uintptr(lock), "lock"); lock < 0 {
		t.attended = r.dir.LockMonitorByte(id)
	}
	syscall.CloseOnExec(linux.RawFD(t.attended)) // a hook that stays is not to be taken for us
	defer t.attended.Close()
	go c.Reap()
	p := &spawn.Pump{}
	switch {
	case terminal:
		c.Console = os.NewFile(uintptr(fds[0]), "console")
	default:
		p.Outputs = []*os.File{os.NewFile(uintptr(fds[0]), "stdout"), os.NewFile(uintptr(fds[1]), "stderr")}
		if fds[2] >= 0 {
			p.Input = os.NewFile(uintptr(fds[2]), "stdin")
		}
	}
	log, noLog := crilog.Open(r.LogPath(id), words[9])
	if noLog != nil { // the program is attended to all the same
		if log, err = crilog.Open(os.DevNull, "max-size=-1"); err != nil {
			return 0, err
		}
	}
	t.log = log
	defer log.Close()
	code, err := t.attend(c, p, nil)
	box, _, loadErr := r.dir.LoadAnyway(id)
	if loadErr != nil { // the document was taken away: the next command finds the rest by the id
		return code, errors.Join(err, loadErr)
	}
	again, err := t.ended(ctx, box.Spec, code, err)
	if !again {
		return code, err
	}
	return t.run(ctx, box.Spec, func() error { return r.started(id, true) })
}
