package monitor

import (
	"fmt"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// TestFieldsOfTheProgram: the program sees the document's settings of scheduler, I/O and memory.
func TestFieldsOfTheProgram(t *testing.T) {
	const stat = "cut -d' ' -f19,41 /proc/self/stat" // nice and policy (proc_pid_stat(5)), which children inherit
	for _, c := range []struct {
		name   string
		set    func(s *specs.Spec)
		script string
		want   string
	}{
		{"scheduler batch", func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5}
		}, stat, "5 3\n"},
		{"scheduler idle", func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedIdle}
		}, stat, "0 5\n"},
		{"scheduler other", func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedOther, Nice: 7, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}
		}, "cat /proc/1/stat | cut -d' ' -f19,41", "7 0\n"},
		{"ioPriority", func(s *specs.Spec) {
			s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6}
		}, "ionice -p 1", "best-effort: prio 6\n"},
		{"ioPriority idle", func(s *specs.Spec) {
			s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_IDLE}
		}, "ionice -p 1", "idle\n"},
		{"personality", func(s *specs.Spec) {
			s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
		}, "cat /proc/1/personality", "00000008\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t, c.script)
			b.applets("cut ionice")
			c.set(&b.spec.Spec)
			if r := b.run(); r.code != 0 || r.out != c.want {
				t.Errorf("%v, want out %q", r, c.want)
			}
		})
	}
}

func TestMemoryPolicy(t *testing.T) {
	if _, err := os.Stat("/proc/self/numa_maps"); err != nil {
		t.Log("this kernel has no nodes: the policy is refused")
		b := newBox(t, "true")
		b.spec.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0"}
		if r := b.run(); r.failure == nil || !strings.Contains(r.failure.Error(), "linux.memoryPolicy") {
			t.Error(r)
		}
		return
	}
	for mode, want := range map[specs.MemoryPolicyModeType]string{
		specs.MpolBind: "bind:0", specs.MpolInterleave: "interleave:0", specs.MpolPreferred: "prefer:0",
	} {
		b := newBox(t, "cat /proc/self/numa_maps")
		b.spec.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: mode, Nodes: "0"}
		if r := b.run(); r.code != 0 || !strings.Contains(r.out, " "+want+" ") {
			t.Errorf("%s: %v, want %s", mode, r, want)
		}
	}
}

// The clocks of a container may start at other values, as after a migration.
func TestTimeOffsets(t *testing.T) {
	const script = "cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime"
	b := newBox(t, script)
	b.applets("cut")
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
	b.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{
		"monotonic": {Secs: 3600, Nanosecs: 5}, "boottime": {Secs: 1000000},
	}
	before := uptime(t)
	r := b.run()
	var monotonic, nanoseconds, boottime, zero, up int64
	_, err := fmt.Sscanf(r.out, "monotonic %d %d\nboottime %d %d\n%d", &monotonic, &nanoseconds, &boottime, &zero, &up)
	if err != nil || r.code != 0 {
		t.Fatalf("%v: %v", r, err)
	}
	if monotonic != 3600 || nanoseconds != 5 || boottime != 1000000 || zero != 0 {
		t.Errorf("offsets: %s", r.out)
	}
	if up < before+1000000 || up > uptime(t)+1000000 {
		t.Errorf("up for %d s, want the host's %d and a million", up, before)
	}
}

func uptime(t *testing.T) (seconds int64) {
	t.Helper()
	text, err := linux.ReadFile("/proc/uptime")
	must(t, err)
	_, err = fmt.Sscan(strings.Split(string(text), ".")[0], &seconds)
	must(t, err)
	return seconds
}
