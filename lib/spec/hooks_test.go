package spec

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// script makes an executable shell script and returns its path.
func script(t *testing.T, name, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestReleasesRunNewestFirst(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "notes")
	tool := script(t, "md-tool", `echo "$0 $* $STATE" >> `+notes)
	t.Setenv("PATH", filepath.Dir(tool)+":"+os.Getenv("PATH"))
	s := New("0123456789ab")
	for _, verb := range []string{"unmount", "delete", "detach"} {
		if err := s.AddRelease([]string{"STATE=" + verb}, "md-tool", verb, s.ID()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Undo(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll("T detach 0123456789ab detach\nT delete 0123456789ab delete\nT unmount 0123456789ab unmount\n", "T", tool)
	if got := content(t, notes); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAddReleaseWithoutTool(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s := New("0123456789ab")
	if err := s.AddRelease(nil, "md-nothing", "x"); err == nil || !strings.Contains(err.Error(), "md-nothing") || s.Hooks != nil {
		t.Errorf("%v, hooks %v", err, s.Hooks)
	}
}

func TestSiblingBeforePath(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tool := script(t, filepath.Base(self), "")
	t.Setenv("PATH", filepath.Dir(tool))
	if got, err := Sibling(filepath.Base(self)); err != nil || got != self {
		t.Errorf("got %s, %v, want %s", got, err, self)
	}
	other := script(t, "md-other", "")
	t.Setenv("PATH", filepath.Dir(other))
	if got, err := Sibling("md-other"); err != nil || got != other {
		t.Errorf("got %s, %v, want %s", got, err, other)
	}
}

// TestEveryHookRuns: a hook that fails does not keep the others from running.
func TestEveryHookRuns(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "notes")
	s := New("0123456789ab")
	s.Hooks = &specs.Hooks{Poststop: []specs.Hook{
		{Path: script(t, "a", "echo a >> "+notes)},
		{Path: script(t, "b", "echo its own words >&2; exit 3")},
		{Path: "/nowhere/c"},
		{Path: script(t, "d", "echo d >> "+notes)},
	}}
	err := s.Undo(context.Background())
	if got := content(t, notes); got != "a\nd\n" {
		t.Errorf("ran %q", got)
	}
	for _, part := range []string{"/b: exit status 3: its own words", "/nowhere/c", "no such file"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: want %q", err, part)
		}
	}
}

// TestHooksGetState: runtime-spec, config.md "POSIX-platform Hooks".
func TestHooksGetState(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	hook := script(t, "hook", `{ cat; echo; echo "$# $1 $2"; env | grep -v '^PWD=\|^SHLVL=\|^_=' | sort; } > `+out)
	t.Setenv("SECRET", "of the caller")
	s := New("0123456789ab")
	s.Root = &specs.Root{Path: "/bundle/rootfs"}
	s.Annotate("label", "value")
	hooks := []specs.Hook{{Path: hook, Args: []string{"name", "one", "two words"}, Env: []string{"PATH=/bin:/usr/bin", "A=b"}}}
	if err := s.RunHooks(context.Background(), hooks, specs.StateRunning, 42); err != nil {
		t.Fatal(err)
	}
	state, rest, _ := strings.Cut(content(t, out), "\n")
	if rest != "2 one two words\nA=b\nPATH=/bin:/usr/bin\n" {
		t.Errorf("arguments and environment: %q", rest)
	}
	var got specs.State
	if err := json.Unmarshal([]byte(state), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != "0123456789ab" || got.Status != "running" || got.Pid != 42 || got.Bundle != "/bundle" ||
		got.Version != s.Version || got.Annotations["label"] != "value" {
		t.Errorf("state: %s", state)
	}
}

// TestHooksWithoutArguments: argv[0] is the path, and the environment is empty.
func TestHooksWithoutArguments(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	hook := script(t, "hook", `{ echo "$#"; tr '\0' '\n' < /proc/self/environ; } > `+out)
	t.Setenv("SECRET", "of the caller")
	if err := RunHook(context.Background(), specs.Hook{Path: hook}, nil); err != nil {
		t.Fatal(err)
	}
	if got := content(t, out); !strings.HasPrefix(got, "0\n") || strings.Contains(got, "SECRET") {
		t.Errorf("got %q", got)
	}
}

// TestHookTimeout: a background process of the hook that has its streams open is not waited for.
func TestHookTimeout(t *testing.T) {
	seconds := 1
	hook := specs.Hook{Path: script(t, "hook", "sleep 4 & sleep 4"), Env: []string{"PATH=/bin:/usr/bin"}, Timeout: &seconds}
	start := time.Now()
	err := RunHook(context.Background(), hook, nil)
	if took := time.Since(start); err == nil || took < time.Second || took > 3500*time.Millisecond {
		t.Errorf("%v after %v", err, took)
	}
}

func TestHookEndsWithCaller(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	hook := specs.Hook{Path: script(t, "hook", "exec sleep 4"), Env: []string{"PATH=/bin:/usr/bin"}}
	if err := RunHook(ctx, hook, nil); err == nil || time.Since(start) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestUndoWithoutHooks(t *testing.T) {
	for _, s := range []*Spec{{}, {Spec: specs.Spec{Hooks: &specs.Hooks{}}}} {
		if err := s.Undo(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// TestInterruptedReleaseRunsAgain: a release that SIGINT ends runs once more, one that another signal ends does not.
func TestInterruptedReleaseRunsAgain(t *testing.T) {
	for signal, want := range map[string]string{"INT": "tried\ntried\n", "KILL": "tried\n"} {
		notes := filepath.Join(t.TempDir(), "notes")
		s := New("0123456789ab")
		s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{
			Path: "/bin/sh", Args: []string{"sh", "-c", "echo tried >> " + notes + "; [ $(wc -l <" + notes + ") = 2 ] || kill -" + signal + " $$"},
			Env: []string{"PATH=/usr/bin:/bin"},
		}}}
		err := s.Undo(context.Background())
		if got, _ := os.ReadFile(notes); string(got) != want || (err == nil) != (signal == "INT") {
			t.Errorf("%s: tried %q, %v", signal, got, err)
		}
	}
}
