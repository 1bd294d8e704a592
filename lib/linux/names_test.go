package linux

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestQuote lets a real shell split the line again.
func TestQuote(t *testing.T) {
	tests := []struct {
		argv []string
		want string
	}{
		{[]string{"ip", "link", "add", "veth-f0573c58"}, "ip link add veth-f0573c58"},
		{[]string{""}, "''"},
		{[]string{"a b", "c"}, "'a b' c"},
		{[]string{"it's"}, `'it'\''s'`},
		{[]string{"$HOME", "`id`", "$(id)", "a;b", "a|b", "a&b", ">f", "*", "?", "[a]", "~", "#x", `\`, `"`, "!x", "{a,b}", "a=b"}, ""},
		{[]string{"line\nline", "tab\t", "\r", "\x1b[31m", "größe", "'", "''", "-n"}, ""},
	}
	for _, tt := range tests {
		got := Quote(tt.argv...)
		if tt.want != "" && got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
		out, err := exec.Command("sh", "-c", `for w in `+got+`; do printf '%s\0' "$w"; done`).Output()
		if err != nil || string(out) != strings.Join(tt.argv, "\x00")+"\x00" {
			t.Errorf("%q came back as %q, %v", tt.argv, out, err)
		}
	}
}

func TestTrace(t *testing.T) {
	old := slog.Default()
	t.Cleanup(func() { slog.SetDefault(old) })
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo})))
	if Tracing() {
		t.Error("nobody listens")
	}
	var b bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	Trace("mount", "-t", "tmpfs", "a b", "/t")
	TraceWrite("/sys/fs/cgroup/x y", "5 6")
	for _, want := range []string{`msg="mount -t tmpfs 'a b' /t"`, `msg="echo '5 6' > '/sys/fs/cgroup/x y'"`} {
		if !Tracing() || !strings.Contains(b.String(), want) {
			t.Errorf("%s lacks %s", b.String(), want)
		}
	}
}

func TestSignalNumber(t *testing.T) {
	for name, want := range map[string]syscall.Signal{
		"TERM": 15, "SIGTERM": 15, "sigterm": 15, "term": 15, "15": 15, "KILL": 9, "9": 9, "1": 1, "64": 64, "SIGUSR1": 10,
		"SIGRTMIN+3": 37, "rtmin+0": 34, "SIGWINCH": 28,
	} {
		if got, err := SignalNumber(name); got != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"", "0", "65", "-1", "015", "9x", " 9", "SIG", "SIGNOTHING", "RTMIN+31", "RTMIN+-1", "RTMIN+3x", "RTMIN++3", "TERM\n", strings.Repeat("T", 500)} {
		if got, err := SignalNumber(name); err == nil || len(err.Error()) > 200 {
			t.Errorf("%q: %d, %v", name, got, err)
		}
	}
	if SignalName(15) != "SIGTERM" || SignalName(40) != "SIG40" {
		t.Error(SignalName(15), SignalName(40))
	}
}

// TestCapabilityNames holds ours against what the kernel's header says, where there is one.
func TestCapabilityNames(t *testing.T) {
	names := capabilityNames()
	if len(names) != 41 || names[0] != "CAP_CHOWN" || names[21] != "CAP_SYS_ADMIN" || names[40] != "CAP_CHECKPOINT_RESTORE" {
		t.Errorf("%d names", len(names))
	}
	data, err := os.ReadFile("/usr/include/linux/capability.h")
	if err != nil {
		t.Skip("no header to compare with: ", err)
	}
	for _, match := range regexp.MustCompile(`(?m)^#define\s+(CAP_\w+)\s+(\d+)\s*$`).FindAllStringSubmatch(string(data), -1) {
		var number int
		fmt.Sscan(match[2], &number)
		if number >= len(names) || names[number] != match[1] {
			t.Errorf("%s is %d", match[1], number)
		}
	}
}

func TestParseCapabilities(t *testing.T) {
	set, err := ParseCapabilities([]string{"CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE", "CAP_KILL"})
	if err != nil || set != 1|1<<5|1<<40 {
		t.Errorf("%#x, %v", set, err)
	}
	for _, name := range []string{"", "CHOWN", "cap_chown", "CAP_NOTHING", strings.Repeat("C", 500)} {
		if _, err := ParseCapabilities([]string{name}); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}

func TestRlimitNumbers(t *testing.T) {
	for name, want := range map[string]int{"RLIMIT_CPU": 0, "RLIMIT_NOFILE": 7, "RLIMIT_RTTIME": 15} {
		if got, ok := RlimitNumber(name); got != want || !ok {
			t.Errorf("%s: %d, %v", name, got, ok)
		}
	}
	if _, ok := RlimitNumber("NOFILE"); ok {
		t.Error("NOFILE is a limit")
	}
}
