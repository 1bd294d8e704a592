package linux

import (
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// runPlan has a child perform a plan, and returns its last report and its exit code.
func runPlan(t *testing.T, make func(l *Steps)) (Report, int) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ours, theirs, err := SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	l := NewSteps(int(theirs.Fd()))
	l.Doing("try")
	make(l)
	pid, err := l.Fork(0, nil)
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	var last Report
	for {
		r, ok, err := l.ReadReport(ours)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		last = r
		if !r.Failed {
			if err := ResumeChild(ours); err != nil {
				t.Fatal(err)
			}
		}
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	return last, status.ExitStatus()
}

func program(l *Steps, script string) {
	l.Execve("/bin/sh", l.Words([]string{"sh", "-c", script}), l.Words([]string{"X=5"}))
}

func TestChild(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name string
		make func(l *Steps)
		step int
		want syscall.Errno
		code int
	}{
		{"program", func(l *Steps) { program(l, "exit $X") }, 0, 0, 5},
		{"error", func(l *Steps) { l.Chdir("/"); l.Chdir("/nothing"); program(l, "exit 5") }, 1, syscall.ENOENT, 125},
		{"ignored error", func(l *Steps) { l.Chdir("/nothing").Ignoring(syscall.ENOENT); program(l, "exit 5") }, 0, 0, 5},
		{"other error", func(l *Steps) { l.Chdir("/bin/sh").Ignoring(syscall.ENOENT); program(l, "exit 5") }, 0, syscall.ENOTDIR, 125},
		{"Then after an error", func(l *Steps) {
			l.Chdir("/nothing").Ignoring().Then(func() { program(l, "exit 1") })
			program(l, "exit 5")
		}, 0, 0, 5},
		{"Then without an error", func(l *Steps) { l.Chdir("/").Ignoring().Then(func() { program(l, "exit 5") }) }, 0, 0, 5},
		{"OrElse without an error", func(l *Steps) {
			l.Chdir("/").Ignoring().OrElse(func() { program(l, "exit 1") })
			program(l, "exit 5")
		}, 0, 0, 5},
		{"OrElse after an error", func(l *Steps) { l.Chdir("/nothing").Ignoring().OrElse(func() { program(l, "exit 5") }) }, 0, 0, 5},
		{"register", func(l *Steps) {
			l.Mkdir(l.Open(dir, syscall.O_DIRECTORY).Into(), "made", 0o755)
			program(l, "[ -d "+dir+"/made ]")
		}, 0, 0, 0},
		{"short result", func(l *Steps) { l.Open("/", 0).Least(1 << 20) }, 0, syscall.ECANCELED, 125},
		{"no program", func(l *Steps) { l.Chdir("/bin/sh").Ignoring().Remember(); l.Chdir("/nothing").Ignoring().Remember() }, 2, 0, 125},
		{"remembered error", func(l *Steps) {
			l.Access("/etc/passwd").Ignoring().Remember()
			l.Access("/nothing").Ignoring().Remember()
		}, 2, syscall.EACCES, 125},
		{"sync point", func(l *Steps) { l.SyncPoint(); program(l, "exit 6") }, 0, 0, 6},
		{"descriptors", func(l *Steps) {
			l.KeepOnly([]int{l.socket})
			program(l, "for n in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$n ] || exit $n; done")
		}, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, code := runPlan(t, tt.make)
			if r.Step != tt.step || r.Errno != tt.want || code != tt.code {
				t.Errorf("step %d, %v, code %d", r.Step, r.Errno, code)
			}
		})
	}
}

// TestForkInBusyParent forks while other threads allocate, collect garbage and start programs.
func TestForkInBusyParent(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = strings.Repeat("x", 1<<20)
					_ = exec.Command("/bin/true").Run()
				}
			}
		}()
	}
	for i := range 100 {
		if _, code := runPlan(t, func(l *Steps) { l.SyncPoint(); program(l, "exit 5") }); code != 5 {
			t.Fatalf("run %d: code %d", i, code)
		}
	}
}

func TestExplain(t *testing.T) {
	l := NewSteps(3)
	l.Doing("mount /x")
	l.Mount("none", ".", "tmpfs", 0, "").Words(func() []string { return []string{"mount", "-t", "tmpfs", "none", "/root/x"} })
	l.Doing("go")
	l.Chdir("/").Means(syscall.ELOOP, "link loop")
	for i, want := range []string{"mount /x: mount -t tmpfs none /root/x: too many levels of symbolic links", "go: link loop"} {
		if err := l.Explain(i, syscall.ELOOP); err.Error() != want || !errors.Is(err, syscall.ELOOP) {
			t.Error(err)
		}
	}
	l.Chdir("a\x00b")
	if _, err := l.Fork(0, nil); err == nil || !strings.Contains(err.Error(), "NUL byte") {
		t.Error(err)
	}
}
