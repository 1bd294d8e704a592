package state

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/interrupt"
)

// TestLockWaitEnds: a wait for any lock ends when the process is told to; a lock that is free is to be had all the same,
// so that what was made can be undone, and one that comes too late is given back.
func TestLockWaitEnds(t *testing.T) {
	d := newDir(t)
	locks := map[string]func() (func(), error){
		"a container's": func() (func(), error) { return d.Lock(held) },
		"shared":        func() (func(), error) { return d.LockShared("network") },
		"brief":         func() (func(), error) { return d.LockObject("names") },
		"reading":       func() (func(), error) { return d.LockForReading("network") },
	}
	for name, lock := range locks {
		t.Run(name, func(t *testing.T) {
			take := lock
			if name == "reading" { // those that only look share it
				take = locks["shared"]
			}
			unlock, err := take()
			must(t, err)
			ctx, stop := interrupt.Notify(context.Background(), syscall.SIGUSR1)
			defer stop()
			time.AfterFunc(50*time.Millisecond, func() { _ = syscall.Kill(os.Getpid(), syscall.SIGUSR1) })
			if _, err := lock(); !errors.Is(err, context.Canceled) {
				t.Fatalf("the wait ended with %v", err)
			}
			<-ctx.Done()
			free, err := d.LockShared("another")
			must(t, err)
			free()
			unlock()
			stop()
			again, err := lock() // the wait that was given up has given it back, or will
			must(t, err)
			again()
		})
	}
}
