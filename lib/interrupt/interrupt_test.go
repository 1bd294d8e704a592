package interrupt

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watched handles SIGUSR1 in place of the signals that end a command. exited receives the codes with which the process
// would exit.
func watched(t *testing.T) (ctx context.Context, exited <-chan int) {
	t.Helper()
	codes := make(chan int, 10)
	ctx, stop := notify(context.Background(), func(code int) { codes <- code }, syscall.SIGUSR1)
	t.Cleanup(stop)
	return ctx, codes
}

func send(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
}

// within reports whether c is ready within d.
func within[T any](c <-chan T, d time.Duration) bool {
	select {
	case <-c:
		return true
	case <-time.After(d):
		return false
	}
}

func TestEnds(t *testing.T) {
	ctx, exited := watched(t)
	begun := WaitEnd()
	if Signal() != 0 || ctx.Err() != nil {
		t.Fatal("interrupted before the signal")
	}
	send(t)
	if !within(ctx.Done(), time.Second) || !within(begun, time.Second) || Signal() != syscall.SIGUSR1 {
		t.Error("not interrupted at once")
	}
	if within(WaitEnd(), Late/2) {
		t.Error("a wait while undoing ends at once")
	}
	if code := <-exited; code != 128+int(syscall.SIGUSR1) {
		t.Errorf("exit %d", code)
	}
	if !within(WaitEnd(), 100*time.Millisecond) {
		t.Error("a wait while undoing does not end")
	}
}

func TestUndoing(t *testing.T) {
	ctx, exited := watched(t)
	before := Undoing(ctx)
	send(t)
	<-ctx.Done()
	after := Undoing(ctx)
	if before.Err() != nil || after.Err() != nil {
		t.Error("ended at once")
	}
	if !within(before.Done(), 10*Late) || !within(after.Done(), 10*Late) || !errors.Is(after.Err(), context.Canceled) {
		t.Error("undoing does not end")
	}
	if within(exited, Patience-Late+50*time.Millisecond) {
		t.Error("the process exits before undoing ends")
	}
	if !within(exited, 2*Limit) {
		t.Error("the process does not exit")
	}
}

// TestLend: lent signals are for the program in the foreground, and so is one that arrived before.
func TestLend(t *testing.T) {
	ctx, exited := watched(t)
	send(t)
	<-ctx.Done()
	for Signal() == 0 {
		time.Sleep(time.Millisecond)
	}
	before, takeBack := Lend()
	if before != syscall.SIGUSR1 || Signal() != 0 {
		t.Errorf("before: %v, signal %v", before, Signal())
	}
	send(t)
	if within(exited, Patience+100*time.Millisecond) || Signal() != 0 {
		t.Error("interrupted although the signals are lent")
	}
	takeBack()
	send(t)
	if !within(exited, 10*Patience) || Signal() != syscall.SIGUSR1 {
		t.Error("not interrupted after the signals were taken back")
	}
}

// TestWithoutNotify: without Notify, as in a monitor, nothing is interrupted.
func TestWithoutNotify(t *testing.T) {
	before, takeBack := Lend()
	defer takeBack()
	Tell(syscall.SIGTERM)
	if before != 0 || Signal() != 0 || Told() != nil || WaitEnd() != nil || Undoing(context.Background()).Done() != nil {
		t.Error("interrupted")
	}
	in := strings.NewReader("x")
	if Reader(in) != io.Reader(in) {
		t.Error("Reader wraps a reader that nothing can interrupt")
	}
}

func TestReaders(t *testing.T) {
	_, _ = watched(t)
	silent, w := io.Pipe()
	defer w.Close()
	read := func(r io.Reader) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := io.ReadAll(r)
			done <- err
		}()
		return done
	}
	now, lingering := read(Reader(silent)), read(LingeringReader(silent))
	if data, err := io.ReadAll(Reader(strings.NewReader(strings.Repeat("x", 100000)))); len(data) != 100000 || err != nil {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	send(t)
	if err := <-now; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if within(lingering, Linger/2) {
		t.Error("the lingering reader ends with the other")
	}
	if err := <-lingering; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestDo(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	if err := Do(ctx, func() error { return io.EOF }); err != io.EOF {
		t.Error(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := Do(ctx, func() error { select {} }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := Do(ctx, func() error { return io.EOF }); err != io.EOF {
		t.Errorf("a function that returns at once: %v", err)
	}
}
