package monitor

import (
	"context"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spec"
)

// lines of a program's status, as TestPosture reads them.
const statusScript = `grep '^Cap\|^NoNewPrivs\|^Seccomp' /proc/self/status | while IFS=':	' read n v rest; do echo $n=$v$rest; done; mkdir -m 0700 /tmp/no; echo made=$?`

// forbidding returns a filter that answers some calls with an error.
func forbidding(errno uint, calls ...string) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: calls, Action: specs.ActErrno, ErrnoRet: &errno}}}
}

// For any user, the filter applies to all calls of the program, and its capabilities are the same as without a filter.
func TestFilter(t *testing.T) {
	const caps = "00000000a80425fb"
	for _, tt := range []struct {
		name           string
		change         func(*spec.Spec)
		eff, bound, no string
	}{
		{"root", func(*spec.Spec) {}, caps, caps, "0"},
		{"root that gains nothing", func(s *spec.Spec) { s.Process.NoNewPrivileges = true }, caps, caps, "1"},
		{"a user", func(s *spec.Spec) { user(s, 1000) }, "0000000000000000", caps, "0"},
		{"a user that gains nothing", func(s *spec.Spec) { user(s, 1000); s.Process.NoNewPrivileges = true }, "0000000000000000", caps, "1"},
		{"no capability", func(s *spec.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} }, "0000000000000000", "0000000000000000", "0"},
		{"a user of a document without capabilities", func(s *spec.Spec) { user(s, 1000); s.Process.Capabilities = nil }, "0000000000000000", "", "0"},
		{"a small init", func(s *spec.Spec) { s.Annotate(spec.AnnotationInit, "true") }, caps, caps, "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t, statusScript)
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"})
			b.spec.Linux.Seccomp = forbidding(99, "mkdir", "mkdirat")
			tt.change(b.spec)
			got := b.run()
			have := pairs(got.out)
			if have["Seccomp"] != "2" || have["CapEff"] != tt.eff || have["NoNewPrivs"] != tt.no || tt.bound != "" && have["CapBnd"] != tt.bound ||
				have["CapInh"] != "0000000000000000" || have["CapAmb"] != "0000000000000000" {
				t.Error(got)
			}
			if have["made"] != "1" || !strings.Contains(got.err, "Cannot assign requested address") { // 99
				t.Error(got)
			}
		})
	}
}

func user(s *spec.Spec, uid uint32) {
	s.Process.User = specs.User{UID: uid, GID: uid}
	if c := s.Process.Capabilities; c != nil {
		c.Effective, c.Permitted = nil, nil
	}
}

// A program that is executed beside the first has the same filter.
func TestExecHasTheSamePosture(t *testing.T) {
	b := newBox(t, "sleep 100")
	b.spec.Linux.Seccomp = forbidding(99, "mkdir", "mkdirat")
	c := b.detached(Options{})
	defer func() {
		must(t, b.Handle(c).Signal(context.Background(), syscall.SIGKILL))
		_, err := b.Handle(c).Wait(10_000)
		must(t, err)
	}()
	have := pairs(b.exec(c, statusScript).out)
	for name, want := range map[string]string{
		"Seccomp": "2", "Seccomp_filters": "1", "CapInh": "0000000000000000", "CapPrm": "00000000a80425fb", "CapEff": "00000000a80425fb",
		"CapBnd": "00000000a80425fb", "CapAmb": "0000000000000000", "NoNewPrivs": "0", "made": "1",
	} {
		if have[name] != want {
			t.Errorf("%s: %q, want %q", name, have[name], want)
		}
	}
}

func TestNewDocumentsHaveTheDefaultFilter(t *testing.T) {
	b := newBox(t, statusScript+"; mount -t tmpfs none /tmp; echo mount=$?")
	b.spec.Process.Capabilities.Bounding = append(b.spec.Process.Capabilities.Bounding, "CAP_SYS_ADMIN")
	b.spec.Process.Capabilities.Effective, b.spec.Process.Capabilities.Permitted = b.spec.Process.Capabilities.Bounding, b.spec.Process.Capabilities.Bounding
	// A capability alone is not enough: the filter was made for a container without it.
	if got := b.run(); pairs(got.out)["Seccomp"] != "2" || pairs(got.out)["mount"] != "1" {
		t.Error(got)
	}
	b.spec.Linux.Seccomp = nil
	if got := b.run(); pairs(got.out)["Seccomp"] != "0" || pairs(got.out)["mount"] != "0" {
		t.Error(got)
	}
}

// If the filter prevents the start of the program, the error says so.
func TestFiltersThatKeepTheProgramOut(t *testing.T) {
	for name, tt := range map[string]struct {
		filter *specs.LinuxSeccomp
		want   string
	}{
		"all is killed":      {&specs.LinuxSeccomp{DefaultAction: specs.ActKillProcess}, "the seccomp filter kills the container"},
		"no execve":          {forbidding(13, "execve", "execveat"), "permission denied"},
		"one to be asked":    {&specs.LinuxSeccomp{DefaultAction: specs.ActNotify}, "linux.seccomp: default action SCMP_ACT_NOTIFY: not supported"},
		"a listener":         {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/run/x"}, "linux.seccomp: listenerPath"},
		"no such action":     {&specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_X"}, `linux.seccomp: default action "SCMP_ACT_X"`},
		"no such call":       {forbidding(1, "execvee"), `linux.seccomp: syscalls[0]: call "execvee"`},
		"an odd environment": {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{"x"}}, `linux.seccomp: architecture "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, noNewPrivs := range []bool{false, true} {
				b := newBox(t, "echo it runs")
				b.spec.Linux.Seccomp, b.spec.Process.NoNewPrivileges = tt.filter, noNewPrivs
				got := b.run()
				if noNewPrivs && name == "all is killed" {
					continue // the filter then only concerns calls of the program
				}
				if got.failure == nil || !strings.Contains(got.failure.Error(), tt.want) || got.out != "" {
					t.Errorf("no_new_privs %v: %v", noNewPrivs, got)
				}
			}
		})
	}
}
