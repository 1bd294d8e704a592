package state

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAlive(t *testing.T) {
	self, err := FindProcess(os.Getpid())
	must(t, err)
	if self.PID != os.Getpid() || self.Start == 0 || len(self.BootID) != 36 {
		t.Errorf("FindProcess: %+v", self)
	}
	other := func(change func(*Process)) Process { p := self; change(&p); return p }
	tests := []struct {
		name string
		p    Process
		want bool
	}{
		{"this process", self, true},
		{"pid reused", other(func(p *Process) { p.Start-- }), false},
		{"before the reboot", other(func(p *Process) { p.BootID = "00000000-0000-0000-0000-000000000000" }), false},
		{"no boot ID", other(func(p *Process) { p.BootID = "" }), false},
		{"zero Process", Process{}, false},
		{"PID 0", other(func(p *Process) { p.PID = 0 }), false},
		{"pid -1", other(func(p *Process) { p.PID = -1 }), false},
		{"pid beyond the maximum", other(func(p *Process) { p.PID = 1 << 30 }), false},
	}
	for _, tt := range tests {
		if got := tt.p.Alive(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if _, err := FindProcess(1 << 30); err == nil {
		t.Error("FindProcess found a missing process")
	}
}

// TestZombieIsNotAlive uses a command name that looks like the fields after it in /proc/PID/stat.
func TestZombieIsNotAlive(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a) R 1 (b")
	sleep, err := exec.LookPath("sleep")
	must(t, err)
	must(t, os.Symlink(sleep, name))
	cmd := exec.Command(name, "60")
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // fails: killed
	p, err := FindProcess(cmd.Process.Pid)
	must(t, err)
	if !p.Alive() {
		t.Error("a running process is not alive")
	}
	must(t, cmd.Process.Kill())
	for end := time.Now().Add(10 * time.Second); p.Alive(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a zombie is alive")
		}
	}
	if stat := read(fmt.Sprintf("/proc/%d/stat", p.PID)); !strings.Contains(stat, ") Z ") {
		t.Errorf("not a zombie: %s", stat)
	}
}

// Package initializers run on the first thread of the process. The test wants that thread to exit.
func init() {
	if os.Getenv("MYDOCKER_TEST_FIRST_THREAD") != "" {
		time.AfterFunc(time.Minute, func() { os.Exit(1) })
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
	}
}

// TestAliveAfterFirstThreadExits: the process lives on in its other threads.
func TestAliveAfterFirstThreadExits(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MYDOCKER_TEST_FIRST_THREAD=1")
	must(t, cmd.Start())
	p, err := FindProcess(cmd.Process.Pid)
	must(t, err)
	for end := time.Now().Add(10 * time.Second); !strings.Contains(read(fmt.Sprintf("/proc/%d/stat", p.PID)), ") Z "); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the first thread does not exit")
		}
	}
	if !p.Alive() {
		t.Error("a process without its first thread is not alive")
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // fails: killed
	if p.Alive() {
		t.Error("a killed process is alive")
	}
}
