package monitor

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
)

func TestExitCodeOfTheProgram(t *testing.T) {
	tests := []struct {
		name, script string
		init         bool
		want         int
	}{
		{"success", "exit 0", false, 0},
		{"its own", "exit 7", false, 7},
		{"the highest", "exit 255", false, 255},
		{"with an init", "exit 7", true, 7},
		{"a signal, behind an init", "kill -TERM $$", true, 143},
		{"the last signal, behind an init", "kill -KILL $$", true, 137},
		{"orphans, behind an init", "(sleep 0.01 &) ; sleep 0.05; exit 9", true, 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t, tt.script)
			if tt.init {
				b.spec.Annotate(spec.AnnotationInit, "true")
			}
			if got := b.run(); got.code != tt.want || got.failure != nil || got.out+got.err != "" {
				t.Errorf("got %v, want %d", got, tt.want)
			}
		})
	}
}

// TestProgramsThatDoNotStart: the codes 127 and 126 follow execve(2), and all is undone.
func TestProgramsThatDoNotStart(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want int
		text string
	}{
		{"not on the PATH", []string{"nothing"}, 127, "execute nothing: not found on PATH"},
		{"no such file", []string{"/bin/nothing"}, 127, "execute /bin/nothing: no such file or directory"},
		{"below a file", []string{"/bin/busybox/x"}, 127, "execute /bin/busybox/x: not a directory"},
		{"its interpreter is missing", []string{"/bin/orphan"}, 127, "execute /bin/orphan: its interpreter is missing"},
		{"not executable", []string{"/bin/plain"}, 126, "execute /bin/plain: permission denied"},
		{"not executable, on the PATH", []string{"plain"}, 126, "execute plain: permission denied on PATH"},
		{"a directory", []string{"/etc"}, 126, "execute /etc: permission denied"},
		{"a directory on the PATH", []string{"folder"}, 126, "execute folder: permission denied on PATH"},
		{"no program", []string{"/bin/text"}, 126, "execute /bin/text: exec format error"},
		{"a ring of links", []string{"/bin/ring"}, 126, "execute /bin/ring: too many levels of symbolic links"},
		{"a long name", []string{"/" + strings.Repeat("n", 300)}, 126, "file name too long"},
		{"too many words", []string{"true", strings.Repeat("x", 1<<18)}, 126, "argument list too long"},
		{"none", nil, 125, "no command: "},
		{"an empty one", []string{""}, 125, "no command: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t, "")
			bin := filepath.Join(b.root, "bin")
			must(t, os.WriteFile(filepath.Join(bin, "plain"), []byte("#!/bin/sh\n"), 0o644))
			must(t, os.WriteFile(filepath.Join(bin, "orphan"), []byte("#!/bin/nothing\n"), 0o755))
			must(t, os.WriteFile(filepath.Join(bin, "text"), []byte("text\n"), 0o755))
			must(t, os.Mkdir(filepath.Join(bin, "folder"), 0o755))
			must(t, os.Symlink("ring", filepath.Join(bin, "ring")))
			b.spec.Process.Args = tt.args
			b.spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: b.script("hook", "echo released >> "+b.top+"/notes")}}}
			got := b.run()
			code := 125
			var own interface{ ExitStatus() int }
			if errors.As(got.failure, &own) {
				code = own.ExitStatus()
			}
			if got.failure == nil || code != tt.want || !strings.Contains(got.failure.Error(), tt.text) {
				t.Errorf("got %d, %.300v, want %d, %s", code, got.failure, tt.want, tt.text)
			}
			if b.file("notes") != "released\n" {
				t.Errorf("hooks: %q", b.file("notes"))
			}
		})
	}
}

// TestPosture checks, in the container, what the program is and has.
func TestPosture(t *testing.T) {
	b := newBox(t, `
		echo pid=$$ ; echo cwd=$(pwd) ; echo umask=$(umask) ; echo host=$(hostname) ; echo user=$(id -u):$(id -g):$(id -G)
		echo stdin=$(readlink /proc/$$/fd/0)
		echo env=$(env | grep -v '^PWD=\|^SHLVL=\|^OLDPWD=' | wc -l) ; echo path=$PATH
		while read name value; do echo "$name$value" ; done < /proc/self/status | grep '^Cap\|^NoNewPrivs\|^Sig' | while IFS=: read n v; do echo $n=$v; done
		echo links=$(ip -o link | wc -l) $(ip -o link | grep -c 'lo: <LOOPBACK,UP')
		echo sid=$(cat /proc/self/stat | { read a b c d pgrp sid rest; echo $sid; })`)
	b.spec.Hostname, b.spec.Process.Cwd = "inside", "/tmp/made/now"
	t.Setenv("SECRET", "of the caller")
	signal.Ignore(syscall.SIGINT) // as a shell does in the background
	defer syscall.Umask(syscall.Umask(0o077))
	defer signal.Reset(syscall.SIGINT)
	got := b.run()
	if got.code != 0 || got.err != "" {
		t.Fatal(got)
	}
	have := pairs(got.out)
	const caps = "00000000a80425fb" // docker's list
	for name, want := range map[string]string{
		"pid": "1", "cwd": "/tmp/made/now", "umask": "0022", "host": "inside", "user": "0:0:0", "stdin": "/dev/null",
		"env": "2", "path": "/usr/bin:/bin", "CapInh": "0000000000000000", "CapPrm": caps, "CapEff": caps, "CapBnd": caps,
		"CapAmb": "0000000000000000", "NoNewPrivs": "0", "SigIgn": "0000000000000000", "SigBlk": "0000000000000000",
		"links": "1 1", "sid": "1",
	} {
		if have[name] != want {
			t.Errorf("%s: %q, want %q", name, have[name], want)
		}
	}
}

// TestDescriptors: the fourth is the one with which ls reads the directory.
func TestDescriptors(t *testing.T) {
	file, err := os.Open("/etc/passwd") // without close-on-exec
	must(t, err)
	defer file.Close()
	_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), syscall.F_SETFD, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, init := range []string{"", "true"} {
		b := newBox(t, "")
		b.spec.Process.Args = []string{"ls", "/proc/self/fd"}
		b.spec.Annotate(spec.AnnotationInit, init)
		if got := b.run(); got.out != "0\n1\n2\n3\n" {
			t.Error(got)
		}
	}
}

func TestUsers(t *testing.T) {
	const script = `echo user=$(id -u):$(id -g):$(id -G) ; echo umask=$(umask)
		grep '^Cap\|^NoNewPrivs' /proc/self/status | while IFS=':	' read n v rest; do echo $n=$v$rest; done`
	b := newBox(t, script)
	umask := uint32(0o027)
	b.spec.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{10, 1001}, Umask: &umask}
	b.spec.Process.NoNewPrivileges = true
	got := b.run()
	have := pairs(got.out)
	for name, want := range map[string]string{
		"user": "1000:1001:1001 10", "umask": "0027", "NoNewPrivs": "1", "CapBnd": "00000000a80425fb",
		"CapInh": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000",
	} {
		if have[name] != want {
			t.Errorf("%s: %q, want %q", name, have[name], want)
		}
	}
	b = newBox(t, script)
	b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
	b.spec.Process.Capabilities = &specs.LinuxCapabilities{}
	for _, set := range []*[]string{
		&b.spec.Process.Capabilities.Bounding, &b.spec.Process.Capabilities.Effective, &b.spec.Process.Capabilities.Permitted,
		&b.spec.Process.Capabilities.Inheritable, &b.spec.Process.Capabilities.Ambient,
	} {
		*set = []string{"CAP_NET_BIND_SERVICE"}
	}
	have = pairs(b.run().out)
	for _, name := range []string{"CapBnd", "CapInh", "CapPrm", "CapEff", "CapAmb"} {
		if have[name] != "0000000000000400" {
			t.Errorf("ambient: %s: %q", name, have[name])
		}
	}
}

func TestLimitsOfTheProcess(t *testing.T) {
	b := newBox(t, `ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj`)
	score := 500
	b.spec.Process.OOMScoreAdj = &score
	b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}, {Type: "RLIMIT_CORE"}}
	if got := b.run(); got.out != "100\n200\n0\n500\n" {
		t.Error(got)
	}
	b = newBox(t, "true")
	b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOTHING"}}
	if got := b.run(); got.failure == nil || !strings.Contains(got.failure.Error(), "RLIMIT_NOTHING") {
		t.Error(got)
	}
}

func TestSysctls(t *testing.T) {
	b := newBox(t, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax")
	b.spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "7", "kernel.msgmax": "9000"}
	if got := b.run(); got.out != "7\n9000\n" {
		t.Error(got)
	}
	b = newBox(t, "true")
	b.spec.Linux.Sysctl = map[string]string{"net.nothing": "1"}
	if got := b.run(); got.failure == nil || !strings.Contains(got.failure.Error(), "set sysctl net.nothing=1: ") {
		t.Error(got)
	}
}

func TestStreamsStayApart(t *testing.T) {
	b := newBox(t, `echo out; echo err >&2; printf end; printf '\000\377' >&2`)
	if got := b.run(); got.out != "out\nend" || got.err != "err\n\x00\xff" {
		t.Error(got)
	}
}

func TestLongOutputIsWhole(t *testing.T) {
	b := newBox(t, `dd if=/dev/zero bs=65536 count=48 2>/dev/null; echo the end`)
	got := b.run()
	if len(got.out) != 48<<16+len("the end\n") || !strings.HasSuffix(got.out, "\x00the end\n") {
		t.Errorf("%d bytes, ends with %q", len(got.out), got.out[max(0, len(got.out)-20):])
	}
}

// TestLastWords: the output of a program that writes and ends at once is complete, again and again.
func TestLastWords(t *testing.T) {
	b := newBox(t, "echo x; exit 3")
	for i := range 200 {
		if got := b.run(); got.out != "x\n" || got.code != 3 || got.failure != nil {
			t.Fatalf("run %d: %v", i, got)
		}
	}
}

func TestInput(t *testing.T) {
	b := newBox(t, "cat; echo end")
	got := b.runWith(Options{Interactive: true, Streams: spawn.Streams{In: strings.NewReader("the input\n" + strings.Repeat("x", 1<<17))}})
	if got.out != "the input\n"+strings.Repeat("x", 1<<17)+"end\n" {
		t.Errorf("forwarded: %.100v", got)
	}
	b = newBox(t, "cat; echo end")
	if got := b.run(); got.out != "end\n" {
		t.Errorf("closed: %v", got)
	}
	b = newBox(t, "exit 4")
	got = b.runWith(Options{Interactive: true, Streams: spawn.Streams{In: strings.NewReader(strings.Repeat("x", 1<<20))}})
	if got.code != 4 || got.failure != nil {
		t.Errorf("not read: %v", got)
	}
}

// TestReaderThatIsGone: the program gets SIGPIPE, as in any pipe, and ends.
func TestReaderThatIsGone(t *testing.T) {
	b := newBox(t, "while echo x; do :; done; exit 5")
	done := make(chan int)
	go func() {
		code, _ := b.Run(t.Context(), b.spec, Options{Streams: spawn.Streams{Out: broken{}, Err: &bytes.Buffer{}}})
		done <- code
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("it writes for ever")
		c := b.load()
		_ = b.Handle(c).Signal(context.Background(), syscall.SIGKILL)
		<-done
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestRefusedRunsLeaveNothing(t *testing.T) {
	for name, change := range map[string]func(*spec.Spec){
		"no root":       func(s *spec.Spec) { s.Root = nil },
		"a missing one": func(s *spec.Spec) { s.Root.Path += "/nothing" },
		"a bad mount":   func(s *spec.Spec) { s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "nothing"}) },
		"no source": func(s *spec.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "bind", Source: "/nowhere/x"})
		},
		"an id that is a path": func(s *spec.Spec) { s.Annotate(spec.AnnotationID, "../../x") },
		"a bad device": func(s *spec.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "?"}}
		},
		"a namespace that is not there":      func(s *spec.Spec) { s.SetNamespace("network", "/nowhere/ns") },
		"a namespace of another kind":        func(s *spec.Spec) { s.SetNamespace("network", "/proc/self/ns/uts") },
		"a working directory that is a file": func(s *spec.Spec) { s.Process.Cwd = "/bin/busybox" },
		"a capability that is none":          func(s *spec.Spec) { s.Process.Capabilities.Bounding = []string{"CAP_NOTHING"} },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "echo it runs")
			b.spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: b.script("hook", "echo released >> "+b.top+"/notes")}}}
			change(b.spec)
			if got := b.run(); got.failure == nil || got.out != "" || strings.Contains(got.failure.Error(), "\n") {
				t.Error(got)
			}
			if b.file("notes") != "released\n" {
				t.Errorf("hooks: %q", b.file("notes"))
			}
		})
	}
}

// TestProfileOfTheProgram: a kernel without AppArmor cannot confine, and the error says so. One with AppArmor has the
// profile unconfined, whatever else is loaded.
func TestProfileOfTheProgram(t *testing.T) {
	for profile, want := range map[string]string{"nonsuch": "no such profile is loaded", "unconfined": ""} {
		if !linux.AppArmor() {
			want = "this kernel has no AppArmor"
		}
		b := newBox(t, "cat /proc/self/attr/current")
		b.spec.Process.ApparmorProfile = profile
		got := b.run()
		if (got.failure == nil) != (want == "") || want != "" && !strings.Contains(got.failure.Error(), want) {
			t.Errorf("%s: %v, want %q", profile, got, want)
		}
	}
}
