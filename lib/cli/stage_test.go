package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

type stageCommand struct {
	StageFlags
	Name string `help:"A name"`
	do   spec.Stage
}

func (c *stageCommand) Run(ctx context.Context, std *IO) error { return c.RunStage(ctx, std, c.do) }

// stage is a tool of one stage of the pipe.
func stage(do spec.Stage) Tool {
	return Tool{Name: "md-x", Commands: []Command{
		{Name: "attach", Stage: true, New: func() Runner { return &stageCommand{do: do} }},
	}}
}

// documentWithRelease returns a document whose hook leaves a line in the file that is returned, too.
func documentWithRelease(t *testing.T) (document, notes string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv(state.EnvRoot, filepath.Join(dir, "lib"))
	t.Setenv(state.EnvRun, filepath.Join(dir, "run"))
	notes = filepath.Join(dir, "notes")
	hook := filepath.Join(dir, "hook")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\necho released >> "+notes+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := spec.New("0123456789ab")
	s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: hook}}}
	var data bytes.Buffer
	if err := s.Write(&data); err != nil {
		t.Fatal(err)
	}
	if s, err := spec.Read(&data); err != nil || s.Write(&data) != nil { // as a stage hands it on: sorted
		t.Fatal("hand on", err)
	}
	return data.String(), notes
}

func released(notes string) bool {
	data, err := os.ReadFile(notes)
	return err == nil && string(data) == "released\n"
}

// TestStage is the contract in lib/spec, from the outside.
func TestStage(t *testing.T) {
	well := func(_ context.Context, s *spec.Spec) error { s.Hostname = "changed"; return nil }
	fails := func(context.Context, *spec.Spec) error { return errors.New("no free address") }
	tests := []struct {
		name     string
		do       spec.Stage
		args     string
		code     int
		err      string
		released bool
	}{
		{"all well", well, "attach", 0, "", false},
		{"it fails", fails, "attach", 1, "md-x: attach: no free address\n", true},
		{"an unknown option", well, "attach --nothing", 2, "md-x: attach: unknown flag --nothing (see 'md-x attach --help')\n", true},
		{"a word too many", well, "attach word", 2, "md-x: attach: unexpected argument word (see 'md-x attach --help')\n", true},
		{"both files", well, "attach --spec /a --bundle /b", 2, "md-x: attach: --spec and --bundle exclude each other\n", false},
		{"a file that is not there", well, "attach --spec /nowhere/a", 1, "md-x: attach: read the document: open /nowhere/a: no such file or directory\n", false},
		{"help", well, "attach -h", 0, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			document, notes := documentWithRelease(t)
			got := call(stage(tt.do), document, strings.Fields(tt.args)...)
			if got.code != tt.code || got.err != tt.err || released(notes) != tt.released {
				t.Errorf("got %d %q, released %v", got.code, got.err, released(notes))
			}
			if handedOn := strings.Contains(got.out, `"hostname": "changed"`); handedOn != (tt.name == "all well") || tt.code != 0 && got.out != "" {
				t.Errorf("stdout %q", got.out)
			}
		})
	}
}

func TestStageWithoutADocument(t *testing.T) {
	never := func(context.Context, *spec.Spec) error { t.Error("it ran"); return nil }
	for in, want := range map[string]string{
		"":                       "no document on standard input: the stage before failed",
		"no JSON":                "not an OCI config.json",
		`{"ociVersion":"2.0.0"}`: "only 1.x is understood",
	} {
		got := call(stage(never), in, "attach")
		if got.code != 1 || got.out != "" || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, want) {
			t.Errorf("%q: %+v", in, got)
		}
		if got := call(stage(never), in, "attach", "--nothing"); got.code != 2 || got.out != "" {
			t.Errorf("%q, wrong usage: %+v", in, got)
		}
	}
}

// TestStageUndoes: what ends a stage after its work was done.
func TestStageUndoes(t *testing.T) {
	t.Run("a signal", func(t *testing.T) {
		document, notes := documentWithRelease(t)
		ctx, cancel := context.WithCancel(context.Background())
		var out bytes.Buffer
		code := stage(func(context.Context, *spec.Spec) error { cancel(); return nil }).Run(ctx, []string{"attach"},
			&IO{In: strings.NewReader(document), Out: &out, Err: &bytes.Buffer{}})
		if code != 1 || out.Len() != 0 || !released(notes) {
			t.Errorf("code %d, out %q, released %v", code, out.String(), released(notes))
		}
	})
	t.Run("a reader that is gone", func(t *testing.T) {
		document, notes := documentWithRelease(t)
		var errOut bytes.Buffer
		code := stage(func(context.Context, *spec.Spec) error { return nil }).Run(context.Background(), []string{"attach"},
			&IO{In: strings.NewReader(document), Out: full{}, Err: &errOut})
		if code != 1 || !released(notes) || !strings.HasPrefix(errOut.String(), "md-x: attach: pass on the document: ") {
			t.Errorf("code %d, err %q, released %v", code, errOut.String(), released(notes))
		}
	})
	t.Run("a reader that is gone before the first stage wrote", func(t *testing.T) {
		document, notes := documentWithRelease(t)
		var errOut bytes.Buffer
		first := stage(func(context.Context, *spec.Spec) error { return nil })
		first.Commands[0].Stage = false
		code := first.Run(context.Background(), []string{"attach"}, &IO{In: strings.NewReader(document), Out: gone{}, Err: &errOut})
		if code != 1 || !released(notes) || !strings.HasPrefix(errOut.String(), "md-x: attach: pass on the document: ") {
			t.Errorf("code %d, err %q, released %v", code, errOut.String(), released(notes))
		}
	})
	t.Run("a release that fails", func(t *testing.T) {
		document, notes := documentWithRelease(t)
		document = strings.Replace(document, filepath.Dir(notes)+"/hook", "/nowhere/hook", 1)
		got := call(stage(func(context.Context, *spec.Spec) error { return errors.New("no") }), document, "attach")
		if got.code != 1 || !strings.HasPrefix(got.err, "md-x: attach: no; hook /nowhere/hook: ") || strings.Count(got.err, "\n") != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

// gone is standard output without a reader.
type gone struct{}

func (gone) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EPIPE}
}

// TestStageHandsOver: the document is this stage's to undo until somebody has read it, and its container
// has a note of that.
func TestStageHandsOver(t *testing.T) {
	for name, reads := range map[string]bool{"a reader": true, "a reader that dies": false} {
		t.Run(name, func(t *testing.T) {
			document, notes := documentWithRelease(t)
			dir, err := state.FromEnv()
			if err != nil {
				t.Fatal(err)
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			code := make(chan int)
			go func() {
				code <- stage(func(context.Context, *spec.Spec) error { return nil }).Run(context.Background(), []string{"attach"},
					&IO{In: strings.NewReader(document), Out: w, Err: &bytes.Buffer{}})
			}()
			time.Sleep(50 * time.Millisecond)
			if run, err := dir.ReadRun("0123456789ab"); err != nil || run.Monitor.PID != os.Getpid() || released(notes) {
				t.Errorf("while nobody reads: %+v, %v, released %v", run, err, released(notes))
			}
			if reads {
				got := make([]byte, len(document))
				if n, err := io.ReadFull(r, got); err != nil || string(got) != document {
					t.Errorf("%d bytes, %v", n, err)
				}
				defer r.Close()
			} else {
				r.Close()
			}
			if c := <-code; (c == 0) != reads || released(notes) == reads {
				t.Errorf("code %d, released %v", c, released(notes))
			}
			if entries, err := os.ReadDir(dir.Run); err != nil || len(entries) != 0 {
				t.Errorf("left %v, %v", entries, err)
			}
		})
	}
}

func TestStageReadsFromFiles(t *testing.T) {
	document, _ := documentWithRelease(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"attach", "--bundle", dir}, {"attach", "--spec", filepath.Join(dir, "config.json")}, {"attach", "--spec", "-"}, {"attach", "--spec="},
	} {
		in := ""
		if !strings.Contains(args[len(args)-1], dir) {
			in = document
		}
		got := call(stage(func(context.Context, *spec.Spec) error { return nil }), in, args...)
		if got.code != 0 || got.err != "" || got.out != document {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// TestStageOnATerminal: it must not wait for a document that a person would have to type.
func TestStageOnATerminal(t *testing.T) {
	master, slave, _, err := linux.OpenPTY("/dev/ptmx")
	if err != nil {
		t.Skip("no terminal to be had: ", err)
	}
	defer master.Close()
	defer slave.Close()
	for _, args := range [][]string{{"attach"}, {"attach", "--nothing"}} {
		var out, errOut bytes.Buffer
		never := func(context.Context, *spec.Spec) error { t.Error("it ran"); return nil }
		code := stage(never).Run(context.Background(), args, &IO{In: slave, Out: &out, Err: &errOut})
		if code != ExitUsage || out.Len() != 0 || strings.Count(errOut.String(), "\n") != 1 {
			t.Errorf("%v: %d, %q, %q", args, code, out.String(), errOut.String())
		}
	}
}
