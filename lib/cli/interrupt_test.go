package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/spec"
)

// told returns a context that a signal ends soon, as Main has it.
func told(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := interrupt.Notify(context.Background(), syscall.SIGUSR1)
	t.Cleanup(stop)
	timer := time.AfterFunc(20*time.Millisecond, func() { _ = syscall.Kill(os.Getpid(), syscall.SIGUSR1) })
	t.Cleanup(func() { timer.Stop() })
	return ctx
}

const codeTold = 128 + int(syscall.SIGUSR1)

// TestInterruptedStage: a stage that waits for its document ends, and undoes the one whose end does not come.
func TestInterruptedStage(t *testing.T) {
	document, notes := documentWithRelease(t)
	for _, tt := range []struct{ name, written, undone string }{
		{"silent", "", ""},
		{"the beginning of a document", document[:len(document)/2], ""},
		{"a document, and no end", document, "released\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, w := io.Pipe()
			defer w.Close()
			go func() { _, _ = io.WriteString(w, tt.written) }()
			var out, errOut bytes.Buffer
			begun := time.Now()
			code := stage(func(context.Context, *spec.Spec) error { return nil }).Run(told(t), []string{"attach"}, &IO{In: in, Out: &out, Err: &errOut})
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

type waiting struct{ errs []error }

func (c *waiting) Run(ctx context.Context, std *IO) error {
	i := -1
	return Each(std, "x", "wait", []string{"a", "b", "c"}, func(string) error {
		<-ctx.Done()
		i++
		return c.errs[i]
	})
}

// TestInterruptedCommand: the exit code is the signal's, and there is a line at most.
func TestInterruptedCommand(t *testing.T) {
	own := errors.New("interrupted")
	for _, tt := range []struct {
		errs []error
		said string
		code int
	}{
		{[]error{context.Canceled, context.Canceled, context.Canceled}, "", codeTold},
		{[]error{own, own, own}, "x: wait: interrupted\n", codeTold},
		{[]error{nil, context.Canceled, own}, "", codeTold},
		{[]error{nil, nil, nil}, "", 0}, // done in time
	} {
		tool := Tool{Name: "x", Commands: []Command{{Name: "wait", New: func() Runner { return &waiting{tt.errs} }}}}
		var errOut bytes.Buffer
		ctx := told(t)
		if code := tool.Run(ctx, []string{"wait"}, &IO{Out: io.Discard, Err: &errOut}); code != tt.code || errOut.String() != tt.said {
			t.Errorf("%v: exit %d, %q", tt.errs, code, errOut.String())
		}
	}
}
