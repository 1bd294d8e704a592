package linux

import (
	"bytes"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
)

// TestQuote has a real shell split the line.
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
			t.Errorf("%q was split into %q, %v", tt.argv, out, err)
		}
	}
}

func TestTrace(t *testing.T) {
	old := slog.Default()
	t.Cleanup(func() { slog.SetDefault(old) })
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo})))
	if Tracing() {
		t.Error("Tracing without --debug")
	}
	var b bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	Trace("mount", "-t", "tmpfs", "a b", "/t")
	TraceWrite("/sys/fs/cgroup/x y", "5 6")
	for _, want := range []string{`msg="mount -t tmpfs 'a b' /t"`, `msg="echo '5 6' > '/sys/fs/cgroup/x y'"`} {
		if !Tracing() || !strings.Contains(b.String(), want) {
			t.Errorf("%s: want %s", b.String(), want)
		}
	}
}
