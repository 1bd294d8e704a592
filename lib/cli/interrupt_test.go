package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/interrupt"
)

// told returns a context that a signal cancels soon, as in [Main].
func told(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := interrupt.Notify(context.Background(), syscall.SIGUSR1)
	t.Cleanup(stop)
	timer := time.AfterFunc(20*time.Millisecond, func() { _ = syscall.Kill(os.Getpid(), syscall.SIGUSR1) })
	t.Cleanup(func() { timer.Stop() })
	return ctx
}

const codeTold = 128 + int(syscall.SIGUSR1)

type waiting struct{ errs []error }

func (c *waiting) Run(ctx context.Context, std *IO) error {
	i := -1
	return Each(std, "x", "wait", []string{"a", "b", "c"}, func(string) error {
		<-ctx.Done()
		i++
		return c.errs[i]
	})
}

// TestInterruptedCommand: the exit code is the signal's, with at most one line.
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
