package cgroup

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestEnterJoinsEveryHierarchy(t *testing.T) {
	g := realGroup(t, Limits{})
	out, err := commandIn(t, g, "cat", "/proc/self/cgroup").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := bytes.Count(out, []byte(":"+g.Path+"\n")); n != len(g.trees) {
		t.Errorf("in %d of %d hierarchies:\n%s", n, len(g.trees), out)
	}
}

func TestAddJoinsEveryHierarchy(t *testing.T) {
	g := realGroup(t, Limits{})
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := g.Add(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	for _, tr := range g.trees {
		checkFiles(t, tr.dir(g.Path), "cgroup.procs="+strconv.Itoa(cmd.Process.Pid))
	}
	if err := g.Add(1 << 22); err == nil {
		t.Error("a process that does not exist was added")
	}
}

func TestMemoryLimitKills(t *testing.T) {
	requireSwapLimit(t) // without it the process would use the host's swap
	g := realGroup(t, Limits{Memory: ptr[Size](16 << 20), MemorySwap: ptr[Size](16 << 20)})
	// tail keeps an unfinished line in memory.
	out, err := commandIn(t, g, "sh", "-c", "head -c 8m /dev/zero | tail -n 1 | wc -c").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "8388608" {
		t.Errorf("use half of the limit: %v: %s", err, out)
	}
	if n := g.OOMKills(); n != 0 {
		t.Errorf("%d OOM kills below the limit", n)
	}
	cmd := commandIn(t, g, "tail", "-n", "1", "/dev/zero")
	err = cmd.Run()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("over the limit: %v, want SIGKILL", err)
	}
	if n := g.OOMKills(); n != 1 {
		t.Errorf("%d OOM kills, want 1", n)
	}
}

func TestPidsMaxStopsForks(t *testing.T) {
	g := realGroup(t, Limits{PidsMax: ptr[int64](3)})
	requireController(t, g, "pids")
	out, err := commandIn(t, g, "sh", "-c", "for i in 1 2 3; do sleep 60 >/dev/null 2>&1 & done").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("fork")) {
		t.Errorf("fork over the limit: %v: %s", err, out)
	}
	if pids, err := g.Procs(); err != nil || len(pids) > 3 {
		t.Errorf("processes %v, %v, want at most 3", pids, err)
	}
}

func TestCpusetIsAffinity(t *testing.T) {
	online, err := onlineCPUs()
	if err != nil {
		t.Skip(err)
	}
	last := online[strings.LastIndexAny(online, ",-")+1:]
	g := realGroup(t, Limits{CpusetCPUs: last})
	requireController(t, g, "cpuset")
	out, err := commandIn(t, g, "grep", "Cpus_allowed_list", "/proc/self/status").CombinedOutput()
	fields := strings.Fields(string(out))
	if err != nil || fields[len(fields)-1] != last {
		t.Errorf("cpus: %v: %s, want %s", err, out, last)
	}
}

func TestDevicesAreDenied(t *testing.T) {
	g := realGroup(t, Limits{})
	script := `
		for d in null zero full random urandom; do head -c 0 /dev/$d || echo $d; done
		mknod "$1/kmsg" c 1 11 || echo mknod
		cat "$1/kmsg" 2>&1 | head -c 100`
	out, _ := commandIn(t, g, "sh", "-c", script, "sh", t.TempDir()).CombinedOutput()
	if !bytes.Contains(out, []byte("not permitted")) || bytes.Contains(out, []byte("\n\n")) {
		t.Errorf("reading the kernel's log: %s", out)
	}
	for _, word := range []string{"null", "zero", "full", "random", "mknod"} {
		if strings.Contains(string(out), word+"\n") {
			t.Errorf("%s is denied: %s", word, out)
		}
	}
}

func TestFreeze(t *testing.T) {
	g := realGroup(t, Limits{})
	cmd := commandIn(t, g, "sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	ticks := func() string {
		data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "stat"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(data))[13] // user time: some kernels spend system time in the freezer
	}
	time.Sleep(100 * time.Millisecond)
	if err := g.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := ticks()
	time.Sleep(100 * time.Millisecond)
	if after := ticks(); after != before {
		t.Errorf("the frozen process ran: %s to %s ticks", before, after)
	}
	if err := g.Thaw(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if after := ticks(); after == before {
		t.Error("the thawed process does not run")
	}
	// A frozen process can be killed.
	if err := g.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := g.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
}

// Remove waits for processes to exit and does not kill them.
func TestRemoveWaits(t *testing.T) {
	g := realGroup(t, Limits{})
	cmd := commandIn(t, g, "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for pids := []int(nil); len(pids) == 0; pids, _ = g.Procs() {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := g.Remove(ctx); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("remove a cgroup with a process: %v", err)
	}
	if cmd.Process.Signal(syscall.Signal(0)) != nil {
		t.Error("Remove killed the process")
	}
	time.AfterFunc(100*time.Millisecond, func() { cmd.Process.Kill(); cmd.Wait() })
	if err := g.Remove(t.Context()); err != nil {
		t.Error(err)
	}
}

// A kernel memory limit is either set or refused, never ignored.
func TestKernelMemory(t *testing.T) {
	g := realGroup(t, Limits{})
	tr := requireController(t, g, "memory")
	err := g.Set(&specs.LinuxResources{Memory: &specs.LinuxMemory{Kernel: ptr[int64](64 << 20)}})
	limit := g.current(tr, "memory.kmem.limit_in_bytes")
	if (err == nil) != (limit == strconv.Itoa(64<<20)) {
		t.Errorf("error %v, but the limit is %q", err, limit)
	}
}

func TestSetRaisesAndLowers(t *testing.T) {
	g := realGroup(t, Limits{})
	requireController(t, g, "memory")
	for _, mb := range []Size{64, 32, 128} {
		l := Limits{Memory: ptr(mb << 20), MemorySwap: ptr(2 * mb << 20)}
		r, err := l.Resources()
		if err != nil {
			t.Fatal(err)
		}
		r.Devices = nil
		if err := g.Set(r); err != nil {
			t.Fatal(err)
		}
		stats, err := g.Stats()
		if err != nil || stats.Memory.Limit == nil || Size(*stats.Memory.Limit) != mb<<20 {
			t.Errorf("limit %v, %v, want %d", stats.Memory.Limit, err, mb<<20)
		}
	}
}
