package monitor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/crilog"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// sleeper is a program that reports when it is ready, and ends at SIGTERM with code 3.
const sleeper = `trap 'echo bye; exit 3' TERM; echo ready; echo oops >&2; while :; do sleep 0.02; done`

// ready waits until the program of a container has reported.
func (b *box) ready() {
	b.t.Helper()
	eventually(b.t, "the program runs", func() bool { return strings.Contains(b.log(crilog.Options{Tail: -1}), "ready\n") })
}

// log returns the log of the container, both streams.
func (b *box) log(o crilog.Options) string {
	b.t.Helper()
	var out bytes.Buffer
	must(b.t, crilog.Read(context.Background(), b.LogPath(b.spec.ID()), o, &out, &out))
	return out.String()
}

func TestDetached(t *testing.T) {
	b := newBox(t, sleeper)
	c := b.detached(Options{Keep: true})
	b.ready()
	if !c.Running || c.Status() != state.StatusRunning || !c.Spawn.Detached || c.Spawn.Started.IsZero() {
		t.Errorf("%+v", c)
	}
	if c.Run.Monitor.PID == os.Getpid() || !c.Run.Monitor.Alive() {
		t.Errorf("monitor %+v", c.Run.Monitor)
	}
	var out, errOut bytes.Buffer
	followed := make(chan error)
	go func() {
		followed <- b.Logs(context.Background(), c, crilog.Options{Tail: -1, Follow: true}, &out, &errOut)
	}()
	must(t, b.Handle(c).Signal(context.Background(), syscall.SIGTERM))
	code, err := b.WaitCode(context.Background(), c)
	if code != 3 || err != nil {
		t.Errorf("code %d, %v", code, err)
	}
	if err := <-followed; err != nil || out.String() != "ready\nbye\n" || errOut.String() != "oops\n" {
		t.Errorf("followed %q, %q, %v", out.String(), errOut.String(), err)
	}
	c = b.load()
	if c.Running || c.Status() != state.StatusExited || c.Spawn.ExitCode != 3 || c.Spawn.Finished.Before(c.Spawn.Started) {
		t.Errorf("%+v", c)
	}
	if err := b.Handle(c).Signal(context.Background(), syscall.SIGTERM); !errors.Is(err, spawn.ErrNotRunning) {
		t.Errorf("signal after its end: %v", err)
	}
	if got := b.exec(c, "true"); !errors.Is(got.failure, spawn.ErrNotRunning) {
		t.Errorf("exec after its end: %v", got)
	}
	b.remove(c)
	b.remove(c) // idempotent
}

func TestStartAgain(t *testing.T) {
	b := newBox(t, "echo run $(cat /tmp/count 2>/dev/null); echo x >> /tmp/count; exit 4")
	c := b.detached(Options{Keep: true})
	for range 2 {
		if code, err := b.WaitCode(context.Background(), c); code != 4 || err != nil {
			t.Fatalf("code %d, %v", code, err)
		}
		must(t, errOf(b.Start(context.Background(), c.Spec, Options{Detach: true, Keep: true})))
		c = b.load()
	}
	code, err := b.WaitCode(context.Background(), c)
	if code != 4 || err != nil || b.log(crilog.Options{Tail: -1}) != "run\nrun x\nrun x x\n" {
		t.Errorf("code %d, %v, log %q", code, err, b.log(crilog.Options{Tail: -1}))
	}
	b.remove(b.load())
}

func errOf(_ int, err error) error { return err }

// TestDetachedThatDoesNotStart: the monitor reports the error with its code.
func TestDetachedThatDoesNotStart(t *testing.T) {
	b := newBox(t, "")
	b.spec.Process.Args = []string{"/nothing"}
	_, err := b.Run(context.Background(), b.spec, Options{Detach: true, Keep: true})
	var failure *spawn.Error
	if !errors.As(err, &failure) || failure.ExitStatus() != 127 || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v", err)
	}
}

func TestExec(t *testing.T) {
	b := newBox(t, sleeper)
	b.spec.Hostname = "inside"
	c := b.detached(Options{})
	b.ready()
	tests := []struct {
		script string
		want   result
	}{
		{"hostname; echo $BOX; echo err >&2; exit 5", result{code: 5, out: "inside\n" + b.spec.ID() + "\n", err: "err\n"}},
		{"for n in mnt net uts ipc pid; do [ $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) ] || echo $n; done", result{}},
		{"grep -c '^Cap...:	00000000a80425fb' /proc/self/status; umask; cat /proc/self/oom_score_adj", result{out: "3\n0022\n0\n"}},
		{"ls /proc/1/fd", result{out: "0\n1\n2\n"}},
		{"cat", result{}},
		{"kill -KILL $$", result{code: 137}},
		{"sleep 20 & echo started", result{out: "started\n"}}, // sleep holds the streams open, is not waited for, and dies with PID 1
	}
	for _, tt := range tests {
		start := time.Now()
		if got := b.exec(c, tt.script); got != tt.want || time.Since(start) > 5*time.Second {
			t.Errorf("%s: %v after %v, want %v", tt.script, got, time.Since(start), tt.want)
		}
	}
	for args, code := range map[string]int{"/nothing": 127, "/etc": 126, "nothing": 127} {
		proc := *b.spec.Process
		proc.Args = []string{args}
		_, err := b.Exec(context.Background(), c, &proc, Options{Streams: spawn.Streams{Out: io.Discard, Err: io.Discard}})
		var failure *spawn.Error
		if !errors.As(err, &failure) || failure.ExitStatus() != code {
			t.Errorf("%s: %v", args, err)
		}
	}
	must(t, b.Handle(c).Signal(context.Background(), syscall.SIGKILL))
	must(t, b.Settle(context.Background(), c))
}

// terminal makes a terminal: its two ends.
func terminal(t *testing.T) (person, tty *os.File) {
	t.Helper()
	person, tty, _, err := linux.OpenPTY("/dev/ptmx")
	must(t, err)
	t.Cleanup(func() {
		person.Close()
		tty.Close()
	})
	return person, tty
}

// screen collects the output on a terminal.
func screen(person *os.File) (text func() string) {
	lines := make(chan string, 1)
	lines <- ""
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := person.Read(buffer)
			if err != nil {
				return
			}
			lines <- <-lines + string(buffer[:n])
		}
	}()
	return func() string {
		now := <-lines
		lines <- now
		return now
	}
}

func TestTerminal(t *testing.T) {
	b := newBox(t, `tty; stty size; echo x > /dev/console; stat -c '%F %u' /dev/pts/0
		trap 'stty size' WINCH; trap 'echo; echo interrupted; exit 6' INT; echo ready; while :; do sleep 0.02; done`)
	b.spec.Process.Terminal = true
	b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
	person, tty := terminal(t)
	must(t, linux.SetWindowSize(tty, linux.WindowSize{Rows: 33, Cols: 111}))
	shown := screen(person)
	code := make(chan int)
	go func() {
		n, err := b.Run(context.Background(), b.spec, Options{Streams: spawn.Connect(tty, tty, tty, true, true)})
		if err != nil {
			t.Error(err)
		}
		code <- n
	}()
	eventually(t, "the program is ready", func() bool { return strings.Contains(shown(), "ready\r\n") })
	if !strings.HasPrefix(shown(), "/dev/pts/0\r\n33 111\r\nx\r\ncharacter special file 1000\r\n") {
		t.Errorf("shown %q", shown())
	}
	// The kernel sends SIGWINCH only to the terminal's own foreground: send it by hand.
	must(t, linux.SetWindowSize(tty, linux.WindowSize{Rows: 44, Cols: 122}))
	must(t, syscall.Kill(os.Getpid(), syscall.SIGWINCH))
	eventually(t, "the size follows", func() bool { return strings.Contains(shown(), "44 122\r\n") })
	_, err := person.Write([]byte{3}) // Ctrl-C: a byte, to the program's terminal
	must(t, err)
	if n := <-code; n != 6 {
		t.Errorf("code %d, shown %q", n, shown())
	}
	eventually(t, "the last words are shown", func() bool { return strings.HasSuffix(shown(), "interrupted\r\n") })
}

// TestTerminalWithoutCaller: without a caller's terminal, the size is not 0x0, and the output is drained to the end.
func TestTerminalWithoutCaller(t *testing.T) {
	b := newBox(t, "stty size; dd if=/dev/zero bs=1000 count=200 2>/dev/null; echo the end")
	b.spec.Process.Terminal = true
	got := b.run()
	if !strings.HasPrefix(got.out, "24 80\r\n") || !strings.HasSuffix(got.out, "the end\r\n") || len(got.out) != 7+200000+9 {
		t.Errorf("%d bytes, %.20q … %q", len(got.out), got.out, got.out[max(0, len(got.out)-20):])
	}
}

// initOf waits until another process runs the container, and returns its first process.
func (b *box) initOf() state.Process {
	b.t.Helper()
	b.ready()
	return b.load().Run.Init
}

func TestSignalsAreForwarded(t *testing.T) {
	caught := make(chan os.Signal, 1) // the foreground must not inherit an ignored SIGHUP, as under nohup
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR2, syscall.SIGQUIT} {
		b := newBox(t, `trap 'exit 3' TERM HUP INT USR2 QUIT; echo ready; while :; do sleep 0.02; done`)
		cmd := b.foreground()
		b.ready()
		must(t, cmd.Process.Signal(sig))
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
			t.Errorf("%v: %v", sig, err)
		}
	}
}

// TestDeathOfTheForeground: the container dies with the process that waits for it, and the next command cleans up.
func TestDeathOfTheForeground(t *testing.T) {
	for _, keep := range []bool{false, true} {
		b := newBox(t, sleeper)
		b.spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: b.script("hook", "echo released >> "+b.top+"/notes")}}}
		b.spec.Process.User = specs.User{UID: 1000, GID: 1000} // the change of the user clears the parent-death signal
		var words []string
		if keep {
			words = []string{"keep"}
		}
		cmd := b.foreground(words...)
		init := b.initOf()
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		eventually(t, "the container is dead", func() bool { return !init.Alive() })
		if c := b.load(); c.Running {
			t.Error("it is listed as running")
		}
		b.recovered(keep)
	}
}

// recovered checks that the end of a container is dealt with once, if no process saw it.
func (b *box) recovered(kept bool) {
	b.t.Helper()
	abandoned, err := b.dir.Abandoned()
	if err != nil || len(abandoned) != 1 || abandoned[0] != b.spec.ID() {
		b.t.Errorf("abandoned %v, %v", abandoned, err)
	}
	for range 2 {
		b.Sweep(context.Background(), b.t.Errorf)
	}
	if b.file("notes") != "released\n" {
		b.t.Errorf("hooks: %q", b.file("notes"))
	}
	if !kept {
		return
	}
	c := b.load()
	if c.Status() != state.StatusExited || c.Spawn.ExitCode != state.KilledCode || c.Spawn.Finished.IsZero() {
		b.t.Errorf("%+v", c.Spawn)
	}
	b.remove(c)
}

func TestDeathOfTheMonitor(t *testing.T) {
	b := newBox(t, sleeper)
	b.spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: b.script("hook", "echo released >> "+b.top+"/notes")}}}
	c := b.detached(Options{Keep: true})
	b.ready()
	attended, done := b.dir.MonitorBytes()
	defer done()
	if !attended(c.ID) {
		t.Error("the monitor does not stay with it")
	}
	must(t, syscall.Kill(c.Run.Monitor.PID, syscall.SIGKILL))
	eventually(t, "the container is dead", func() bool { return !c.Run.Init.Alive() && !attended(c.ID) })
	if err := b.Settle(context.Background(), c); err != nil {
		t.Error(err)
	}
	b.recovered(true)
}

// TestRecoverLeavesTheLivingAlone: Recover does nothing to a container that runs, or that another process releases.
func TestRecoverLeavesTheLivingAlone(t *testing.T) {
	b := newBox(t, sleeper)
	c := b.detached(Options{Keep: true})
	b.ready()
	must(t, b.Recover(context.Background(), c.ID))
	if !b.load().Running {
		t.Error("the container has ended")
	}
	must(t, b.Handle(c).Signal(context.Background(), syscall.SIGTERM))
	must(t, b.Settle(context.Background(), c))
	must(t, b.Recover(context.Background(), c.ID))
	if c := b.load(); c.Spawn.ExitCode != 3 {
		t.Errorf("code %d", c.Spawn.ExitCode)
	}
	b.remove(c)
	must(t, b.Recover(context.Background(), c.ID))
}

// TestAStartThatCannotBeNoted: the command that starts the container, and holds its lock, gets the error, and the
// program is killed.
func TestAStartThatCannotBeNoted(t *testing.T) {
	b := newBox(t, sleeper)
	id := b.spec.ID()
	must(t, b.register(b.spec, Options{Keep: true, Detach: true}))
	must(t, os.Remove(b.spawnFile(id)))
	must(t, os.Mkdir(b.spawnFile(id), 0o700)) // neither readable nor writable as a file
	unlock, err := b.dir.Lock(id)
	must(t, err)
	told := make(chan error, 1)
	go func() {
		_, err := b.Start(context.Background(), b.spec, Options{Detach: true, Keep: true})
		told <- err
	}()
	select {
	case err = <-told:
		unlock()
	case <-time.After(20 * time.Second):
		unlock()
		t.Error("the command and its monitor wait for each other")
		err = <-told
	}
	if err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("told: %v", err)
	}
	if c := b.load(); c.Running || c.Run.Monitor.Alive() {
		t.Errorf("it runs: %+v", c.Run)
	}
	must(t, os.Remove(b.spawnFile(id)))
	must(t, b.Recover(context.Background(), id))
}

// TestRemoveLeavesWhatRuns: a command that saw a container stopped does not remove it after another has started it.
func TestRemoveLeavesWhatRuns(t *testing.T) {
	b := newBox(t, sleeper)
	c := b.detached(Options{Keep: true})
	b.ready()
	if err := b.Runtime.remove(context.Background(), c); !errors.Is(err, ErrRunning) {
		t.Errorf("removed: %v", err)
	}
	if now := b.load(); !now.Running || now.Run != c.Run || !b.dir.Kept(c.ID) {
		t.Errorf("the container has changed: %+v", now)
	}
	must(t, b.Handle(c).Signal(context.Background(), syscall.SIGKILL))
	must(t, b.Settle(context.Background(), c))
	b.remove(c)
}

// TestRunTwice: a second run of a document does not disturb the first.
func TestRunTwice(t *testing.T) {
	b := newBox(t, sleeper)
	c := b.detached(Options{Keep: true})
	b.ready()
	other, err := spec.Read(strings.NewReader(readFile(t, b.dir.Config(c.ID))))
	must(t, err)
	end := time.AfterFunc(5*time.Second, func() { _ = b.Handle(b.load()).Signal(context.Background(), syscall.SIGKILL) }) // ends a second run
	defer end.Stop()
	if _, err := b.Run(context.Background(), other, Options{Streams: spawn.Streams{Out: io.Discard, Err: io.Discard}}); err == nil {
		t.Error("it was started twice")
	}
	if now := b.load(); now.Run != c.Run || !now.Running || !b.dir.Kept(c.ID) {
		t.Errorf("the first container is lost: %+v", now)
	}
	must(t, syscall.Kill(c.Run.Init.PID, syscall.SIGKILL))
	must(t, b.Settle(context.Background(), c))
	b.remove(c)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

// TestHooks: each hook runs at its time and in its place (runtime-spec, runtime.md "Lifecycle").
func TestHooks(t *testing.T) {
	b := newBox(t, "echo program >> /shared/notes")
	shared := filepath.Join(b.top, "shared")
	must(t, os.Mkdir(shared, 0o755))
	b.spec.Hostname = "inside"
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/shared", Type: "bind", Source: shared, Options: []string{"bind"}})
	// Each hook writes its name, the status in its state, whether the state has a pid, the host name, and whether it
	// sees the host's files or the container's.
	body := func(notes string) string {
		return `state=$(cat); status=$(echo "$state" | grep -o '"status":"[a-z]*"'); pid=$(echo "$state" | grep -c '"pid":[1-9]')
			[ -e /shared/notes ] && place=container || place=host
			[ $(hostname) = inside ] && uts=inside || uts=outside
			echo $1 $status $pid $uts $place >> ` + notes
	}
	outer := b.script("outer", body(shared+"/notes"))
	must(t, os.WriteFile(filepath.Join(b.root, "inner"), []byte("#!/bin/sh\n"+body("/shared/notes")+"\n"), 0o755))
	hook := func(path, name string) []specs.Hook {
		return []specs.Hook{{Path: path, Args: []string{"hook", name}, Env: []string{"PATH=/usr/bin:/bin"}}}
	}
	b.spec.Hooks = &specs.Hooks{
		Prestart: hook(outer, "prestart"), CreateRuntime: hook(outer, "createRuntime"), CreateContainer: hook(outer, "createContainer"),
		StartContainer: hook("/inner", "startContainer"), Poststart: hook(outer, "poststart"), Poststop: hook(outer, "poststop"),
	}
	if got := b.run(); got.code != 0 || got.failure != nil {
		t.Fatal(got)
	}
	lines := strings.Split(strings.TrimSpace(b.file("shared/notes")), "\n")
	var others []string
	for _, line := range lines { // these two run at the same time
		if line != "program" && !strings.HasPrefix(line, "poststart") {
			others = append(others, line)
		}
	}
	want := []string{
		`prestart "status":"creating" 1 outside host`, `createRuntime "status":"creating" 1 outside host`,
		`createContainer "status":"creating" 1 inside host`, `startContainer "status":"created" 1 inside container`,
		`poststop "status":"stopped" 0 outside host`,
	}
	if strings.Join(others, "\n") != strings.Join(want, "\n") || len(lines) != 7 || lines[6] != others[4] {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// TestHooksOfTheImage: a hook whose program is the image's has the rights of the container's program.
func TestHooksOfTheImage(t *testing.T) {
	const rights = `{ grep "^Cap.*:\\|^NoNewPrivs\\|^Seccomp:\\|^Groups" /proc/self/status; id -u; id -g; cat /proc/self/cgroup; } >>`
	for name, change := range map[string]func(*box){
		"the default": func(*box) {},
		"a user": func(b *box) {
			b.spec.Process.User = specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{9}}
			b.spec.Process.NoNewPrivileges = true
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, rights+"/shared/program")
			change(b)
			shared := filepath.Join(b.top, "shared")
			must(t, os.Mkdir(shared, 0o755))
			must(t, os.Chmod(shared, 0o777))
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/shared", Type: "bind", Source: shared, Options: []string{"bind"}})
			b.spec.Linux.CgroupsPath = "/hooks-" + b.spec.ID()
			group, err := cgroup.Open(b.spec.Linux.CgroupsPath)
			must(t, err)
			b.Release = func(ctx context.Context, _ *spec.Spec) error { return group.Remove(ctx) }
			must(t, os.WriteFile(filepath.Join(b.root, "inner"), []byte("#!/bin/sh\n"+rights+"/shared/hook\n"), 0o755))
			b.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/inner", Env: []string{"PATH=/bin"}}}}
			if got := b.run(); got.code != 0 || got.failure != nil {
				t.Fatal(got)
			}
			if program, hook := b.file("shared/program"), b.file("shared/hook"); program != hook || len(hook) < 100 {
				t.Errorf("the program has\n%s\nthe hook\n%s", program, hook)
			}
		})
	}
}

// TestHooksThatFail: a hook that fails before the program starts ends the run, and the releases run. Later hooks do
// not.
func TestHooksThatFail(t *testing.T) {
	for _, which := range []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"} {
		t.Run(which, func(t *testing.T) {
			b := newBox(t, "echo it runs")
			failing := specs.Hook{Path: b.script("failing", "echo no luck >&2; exit 9"), Args: []string{"failing"}}
			must(t, os.WriteFile(filepath.Join(b.root, "failing"), []byte("#!/bin/sh\necho no luck >&2; exit 9\n"), 0o755))
			h := &specs.Hooks{}
			b.spec.Hooks = h
			switch which {
			case "prestart":
				h.Prestart = []specs.Hook{failing}
			case "createRuntime":
				h.CreateRuntime = []specs.Hook{failing}
			case "createContainer":
				h.CreateContainer = []specs.Hook{failing}
			case "startContainer":
				failing.Path = "/failing"
				h.StartContainer = []specs.Hook{failing}
			case "poststart":
				h.Poststart = []specs.Hook{failing}
			case "poststop":
				h.Poststop = []specs.Hook{failing}
			}
			h.Poststop = append(h.Poststop, specs.Hook{Path: b.script("hook", "echo released >> "+b.top+"/notes")})
			got := b.run()
			ran := strings.HasPrefix(which, "post")
			if (got.out == "it runs\n") != ran || b.file("notes") != "released\n" {
				t.Errorf("%v, released %q", got, b.file("notes"))
			}
			if told := got.failure != nil && strings.Contains(got.failure.Error(), "no luck"); told != (which != "poststart") {
				t.Error(got)
			}
			if which == "poststop" { // the run file makes the next command try again
				must(t, os.Remove(filepath.Join(b.dir.Runtime(b.spec.ID()), state.RunFile)))
				must(t, os.RemoveAll(b.dir.Runtime(b.spec.ID())))
			}
		})
	}
}

// TestJoinedNamespaces: a container joins the network of another, as with --network container:ID.
func TestJoinedNamespaces(t *testing.T) {
	first := newBox(t, sleeper)
	c := first.detached(Options{})
	first.ready()
	second := newBox(t, "readlink /proc/self/ns/net; readlink /proc/self/ns/uts")
	ns := func(kind string) string {
		link, err := os.Readlink("/proc/" + strconv.Itoa(c.Run.Init.PID) + "/ns/" + kind)
		must(t, err)
		return link
	}
	second.spec.SetNamespace("network", "/proc/"+strconv.Itoa(c.Run.Init.PID)+"/ns/net")
	got := second.run()
	if lines := strings.Split(got.out, "\n"); len(lines) != 3 || lines[0] != ns("net") || lines[1] == ns("uts") {
		t.Errorf("%v, want %s", got, ns("net"))
	}
	must(t, first.Handle(c).Signal(context.Background(), syscall.SIGKILL))
	must(t, first.Settle(context.Background(), c))
}

// TestCancelledRuns: a signal during the start leaves nothing.
func TestCancelledRuns(t *testing.T) {
	b := newBox(t, "echo it runs")
	ctx, cancel := context.WithCancel(context.Background())
	b.spec.Hooks = &specs.Hooks{
		Prestart: []specs.Hook{{Path: b.script("slow", "touch "+b.top+"/begun; exec sleep 20"), Env: []string{"PATH=/usr/bin:/bin"}}},
		Poststop: []specs.Hook{{Path: b.script("hook", "echo released >> "+b.top+"/notes")}},
	}
	go func() {
		eventually(t, "the hook runs", func() bool { _, err := os.Stat(b.top + "/begun"); return err == nil })
		cancel()
	}()
	var out bytes.Buffer
	if _, err := b.Run(ctx, b.spec, Options{Streams: spawn.Streams{Out: &out, Err: &out}}); err == nil || out.Len() != 0 || b.file("notes") != "released\n" {
		t.Errorf("%v, %q, released %q", err, out.String(), b.file("notes"))
	}
}
