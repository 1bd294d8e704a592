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

// A monitor mostly sleeps, perhaps for months, and a host may have hundreds of them. Go does not return the memory that
// the start of a container took, and the tables of its collector take as much again. So when the program runs, the monitor
// executes md-spawn again: execve(2) keeps the pid, the children and the inherited descriptors, and nothing else. All else
// that the monitor needs is in its arguments:
//
//	md-spawn monitor ID watch PID OUT ERR IN TERMINAL BEGUN WAIT KILLS LOCK LOG-OPTIONS PORTS
const watchWord = "watch"

// watchForm is the form of PID to LOCK: the pid of the program, the descriptors of its streams (-1: none), whether they are
// a terminal, the start of the run in nanoseconds since 1970, the pause before it in nanoseconds, the group's count of OOM
// kills before it, and the descriptor of the monitor byte's lock. PORTS are the descriptors of the sockets that hold the
// host ports.
const watchForm = "%d %d %d %d %t %d %d %d %d"

// watchWords is the number of words after watchWord: those of watchForm, LOG-OPTIONS and PORTS.
const watchWords = 11

// shrink executes the monitor again. It returns if that failed, if this process is no monitor, or if the container ended.
func (t *supervision) shrink(s *spec.Spec, c *spawn.Child) {
	fds, terminal := c.Files()
	words := fmt.Sprintf(watchForm, c.PID, fds[0], fds[1], fds[2], terminal, t.begun.UnixNano(), t.wait, t.kills, linux.RawFD(t.attended))
	args := append([]string{os.Args[0], MonitorArg, s.ID(), watchWord}, strings.Fields(words)...)
	args = append(args, s.Annotation(spec.AnnotationLogOpts), hostport.Word(t.ports.FDs()))
	c.Become(func() error {
		return linux.ExecSelf(args, append(append(fds[:], linux.RawFD(t.attended)), t.ports.FDs()...))
	})
}

// watch is the monitor of a program that runs.
func (r *Runtime) watch(ctx context.Context, id string, words []string, o Options) (int, error) {
	if len(words) != watchWords {
		return 0, errors.New("watch: only a monitor starts it")
	}
	ports, err := hostport.Adopt(words[10])
	if err != nil {
		return 0, fmt.Errorf("watch: %w", err)
	}
	t := &supervision{Runtime: r.releasing(ports), o: o, ports: ports}
	var (
		pid, lock int
		fds       [3]int
		terminal  bool
		begun     int64
	)
	_, err = fmt.Sscanf(strings.Join(words[:9], " "), watchForm, &pid, &fds[0], &fds[1], &fds[2], &terminal, &begun, &t.wait, &t.kills, &lock)
	if err != nil {
		return 0, fmt.Errorf("watch: %w", err)
	}
	t.begun = time.Unix(0, begun)
	if t.attended = os.NewFile(uintptr(lock), "lock"); lock < 0 {
		t.attended = r.dir.LockMonitorByte(id)
	}
	syscall.CloseOnExec(linux.RawFD(t.attended)) // or a hook that stays would count as the monitor
	defer t.attended.Close()
	c := spawn.Resume(pid, fds, terminal)
	log, noLog := crilog.Open(r.LogPath(id), words[9])
	if noLog != nil { // attend to the program without a log
		if log, err = crilog.Open(os.DevNull, "max-size=-1"); err != nil {
			return 0, err
		}
	}
	t.log = log
	defer log.Close()
	code, err := t.attend(c, nil)
	box, _, loadErr := r.dir.LoadAnyway(id)
	if loadErr != nil { // the document was removed: the next command finds the rest by the id
		return code, errors.Join(err, loadErr)
	}
	again, err := t.ended(ctx, box.Spec, code, err)
	if !again {
		return code, err
	}
	return t.run(ctx, box.Spec, func() error { return r.started(id, true) })
}
