package pipe

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

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

type stageCommand struct {
	Input
	Name  string `help:"A name"`
	Quiet bool   `short:"q" help:"Say little"`
	ID    string `name:"id" help:"Work on this id, without a document"`
	do    spec.Stage
}

func (c *stageCommand) Run(ctx context.Context, std *cli.IO) error { return c.RunStage(ctx, std, c.do) }

func (c *stageCommand) ReadsInput() bool { return c.ID == "" && c.Input.ReadsInput() }

// stage returns a tool with one stage of the pipe.
func stage(do spec.Stage) cli.Tool {
	return cli.Tool{Name: "md-x", Commands: []cli.Command{
		{Name: "attach", Stage: Undo, New: func() cli.Runner { return &stageCommand{do: do} }},
	}}
}

type result struct {
	code     int
	out, err string
}

func call(t cli.Tool, stdin string, args ...string) result {
	var out, errOut bytes.Buffer
	code := t.Run(context.Background(), args, &cli.IO{In: strings.NewReader(stdin), Out: &out, Err: &errOut})
	return result{code, out.String(), errOut.String()}
}

// documentWithRelease returns a document, and a file to which the document's release hook appends a line.
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
	if s, err := spec.Read(&data); err != nil || s.Write(&data) != nil { // sorted, as a stage writes it
		t.Fatal("encode:", err)
	}
	return data.String(), notes
}

func released(notes string) bool {
	data, err := os.ReadFile(notes)
	return err == nil && string(data) == "released\n"
}

// TestStage checks the contract in lib/spec.
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
		{"success", well, "attach", 0, "", false},
		{"failure", fails, "attach", 1, "md-x: attach: no free address\n", true},
		{"an unknown option", well, "attach --nothing", 2, "md-x: attach: unknown flag --nothing (see 'md-x attach --help')\n", true},
		{"an unknown option, a document in a bundle", well, "attach --nothing -b /a", 2, "md-x: attach: unknown flag --nothing (see 'md-x attach --help')\n", false},
		{"an unknown option, and a value that looks like an option", well, "attach --name --bundle --nothing", 2, "md-x: attach: unknown flag --nothing (see 'md-x attach --help')\n", true},
		{"an unknown option, and an id in place of a document", well, "attach --nothing --id=1", 2, "md-x: attach: unknown flag --nothing (see 'md-x attach --help')\n", false},
		{"an unknown option, options in one word", well, "attach --nothing -qb/a", 2, "md-x: attach: unknown flag --nothing (see 'md-x attach --help')\n", false},
		{"an unknown option, standard input by name", well, "attach --spec - --nothing", 2, "md-x: attach: unknown flag --nothing (see 'md-x attach --help')\n", true},
		{"an argument too many", well, "attach word", 2, "md-x: attach: unexpected argument word (see 'md-x attach --help')\n", true},
		{"both files", well, "attach --spec /a --bundle /b", 2, "md-x: attach: --spec and --bundle exclude each other\n", false},
		{"a missing file", well, "attach --spec /nowhere/a", 1, "md-x: attach: read the document: open /nowhere/a: no such file or directory\n", false},
		{"a missing bundle", well, "attach -b /nowhere", 1, "md-x: attach: read the document: open /nowhere/config.json: no such file or directory\n", false},
		{"help", well, "attach -h", 0, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			document, notes := documentWithRelease(t)
			got := call(stage(tt.do), document, strings.Fields(tt.args)...)
			if got.code != tt.code || got.err != tt.err || released(notes) != tt.released {
				t.Errorf("got %d %q, released %v", got.code, got.err, released(notes))
			}
			if handedOn := strings.Contains(got.out, `"hostname": "changed"`); handedOn != (tt.name == "success") || tt.code != 0 && got.out != "" {
				t.Errorf("stdout %q", got.out)
			}
		})
	}
}

func TestStageWithoutADocument(t *testing.T) {
	never := func(context.Context, *spec.Spec) error { t.Error("the stage ran"); return nil }
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

// TestStageUndoes: a stage that fails after its work is undone.
func TestStageUndoes(t *testing.T) {
	t.Run("a signal", func(t *testing.T) {
		document, notes := documentWithRelease(t)
		ctx, cancel := context.WithCancel(context.Background())
		var out bytes.Buffer
		code := stage(func(context.Context, *spec.Spec) error { cancel(); return nil }).Run(ctx, []string{"attach"},
			&cli.IO{In: strings.NewReader(document), Out: &out, Err: &bytes.Buffer{}})
		if code != 1 || out.Len() != 0 || !released(notes) {
			t.Errorf("code %d, out %q, released %v", code, out.String(), released(notes))
		}
	})
	t.Run("a full disk", func(t *testing.T) {
		document, notes := documentWithRelease(t)
		var errOut bytes.Buffer
		code := stage(func(context.Context, *spec.Spec) error { return nil }).Run(context.Background(), []string{"attach"},
			&cli.IO{In: strings.NewReader(document), Out: full{}, Err: &errOut})
		if code != 1 || !released(notes) || !strings.HasPrefix(errOut.String(), "md-x: attach: pass on the document: ") {
			t.Errorf("code %d, err %q, released %v", code, errOut.String(), released(notes))
		}
	})
	t.Run("a closed pipe, in a tool that is no stage", func(t *testing.T) {
		document, notes := documentWithRelease(t)
		var errOut bytes.Buffer
		first := stage(func(context.Context, *spec.Spec) error { return nil })
		first.Commands[0].Stage = nil
		code := first.Run(context.Background(), []string{"attach"}, &cli.IO{In: strings.NewReader(document), Out: gone{}, Err: &errOut})
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

// gone is standard output whose reader has closed the pipe.
type gone struct{}

func (gone) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EPIPE}
}

// TestStageHandsOver: a stage owns the container until the next stage has read the document.
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
					&cli.IO{In: strings.NewReader(document), Out: w, Err: &bytes.Buffer{}})
			}()
			time.Sleep(50 * time.Millisecond)
			if run, err := dir.ReadRun("0123456789ab"); err != nil || run.Monitor.PID != os.Getpid() || released(notes) {
				t.Errorf("before the document is read: %+v, %v, released %v", run, err, released(notes))
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

// TestStageOnATerminal: a stage does not read a document from a terminal.
func TestStageOnATerminal(t *testing.T) {
	master, slave, _, err := linux.OpenPTY("/dev/ptmx")
	if err != nil {
		t.Skip("open a pseudoterminal: ", err)
	}
	defer master.Close()
	defer slave.Close()
	for _, args := range [][]string{{"attach"}, {"attach", "--nothing"}} {
		var out, errOut bytes.Buffer
		never := func(context.Context, *spec.Spec) error { t.Error("the stage ran"); return nil }
		code := stage(never).Run(context.Background(), args, &cli.IO{In: slave, Out: &out, Err: &errOut})
		if code != cli.ExitUsage || out.Len() != 0 || strings.Count(errOut.String(), "\n") != 1 {
			t.Errorf("%v: %d, %q, %q", args, code, out.String(), errOut.String())
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// told returns a context that a signal cancels soon, as in cli.Main.
func told(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := interrupt.Notify(context.Background(), syscall.SIGUSR1)
	t.Cleanup(stop)
	timer := time.AfterFunc(20*time.Millisecond, func() { _ = syscall.Kill(os.Getpid(), syscall.SIGUSR1) })
	t.Cleanup(func() { timer.Stop() })
	return ctx
}

const codeTold = 128 + int(syscall.SIGUSR1)

// TestInterruptedStage: a signal ends a stage that reads its document, and a whole document is undone.
func TestInterruptedStage(t *testing.T) {
	document, notes := documentWithRelease(t)
	for _, tt := range []struct{ name, written, undone string }{
		{"nothing", "", ""},
		{"half a document", document[:len(document)/2], ""},
		{"a document without end of file", document, "released\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, w := io.Pipe()
			defer w.Close()
			go func() { _, _ = io.WriteString(w, tt.written) }()
			var out, errOut bytes.Buffer
			begun := time.Now()
			code := stage(func(context.Context, *spec.Spec) error { return nil }).Run(told(t), []string{"attach"}, &cli.IO{In: in, Out: &out, Err: &errOut})
			if took := time.Since(begun); took > 900*time.Millisecond {
				t.Errorf("after %v", took)
			}
			if code != codeTold || out.Len() > 0 || strings.Count(errOut.String(), "\n") > 1 {
				t.Errorf("exit %d, %q, %q", code, out.String(), errOut.String())
			}
			if data, _ := os.ReadFile(notes); string(data) != tt.undone {
				t.Errorf("undone: %q", data)
			}
		})
	}
}
