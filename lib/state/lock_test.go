package state

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/interrupt"
)

// lockEnv makes the test program take the lock of a container in the given run directory, print "locked" and wait to be
// killed.
const lockEnv = "STATE_TEST_LOCK"

func TestMain(m *testing.M) {
	run := os.Getenv(lockEnv)
	if run == "" {
		os.Exit(m.Run())
	}
	unlock, err := Dir{Run: run}.Lock("0123456789ab")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("locked")
	time.Sleep(time.Minute)
	unlock()
}

// startLockHolder starts a process that holds the lock.
func startLockHolder(t *testing.T, d Dir) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), lockEnv+"="+d.Run)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails if the test has killed it
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("lock holder printed %q, %v", line, err)
	}
	return cmd
}

// lock takes the lock in a goroutine and then sends its release on the channel.
func lock(t *testing.T, d Dir) <-chan func() {
	done := make(chan func(), 1)
	go func() {
		unlock, err := d.Lock("0123456789ab")
		if err != nil {
			t.Error(err)
		}
		done <- unlock
	}()
	return done
}

func soon(t *testing.T, locked <-chan func()) {
	t.Helper()
	select {
	case unlock := <-locked:
		unlock()
	case <-time.After(10 * time.Second):
		t.Fatal("timeout waiting for the lock")
	}
}

func notYet(t *testing.T, locked <-chan func()) {
	t.Helper()
	select {
	case <-locked:
		t.Fatal("two holders at once")
	case <-time.After(100 * time.Millisecond):
	}
}

func TestLockAfterHolderDies(t *testing.T) {
	d := newDir(t)
	other := startLockHolder(t, d)
	locked := lock(t, d)
	notYet(t, locked)
	must(t, other.Process.Kill())
	soon(t, locked)
}

// TestLockOfRemovedContainer: a process that waited on a deleted lock file must lock the new file, not the old one.
func TestLockOfRemovedContainer(t *testing.T) {
	d := newDir(t)
	unlock, err := d.Lock("0123456789ab")
	must(t, err)
	waiting := lock(t, d)
	notYet(t, waiting)
	must(t, os.RemoveAll(d.Runtime("0123456789ab")))
	unlockNew, err := d.Lock("0123456789ab")
	must(t, err)
	unlock()
	notYet(t, waiting)
	unlockNew()
	soon(t, waiting)
}

func TestLocksExcludeEachOther(t *testing.T) {
	d := newDir(t)
	for name, take := range map[string]func() (func(), error){
		"container": func() (func(), error) { return d.Lock("0123456789ab") },
		"shared":    func() (func(), error) { return d.LockShared(NetworkLock) },
		"briefly":   func() (func(), error) { return d.LockObject("layer") },
	} {
		t.Run(name, func(t *testing.T) {
			var inside atomic.Int32
			race(50, func(int) error {
				unlock, err := take()
				if err != nil {
					return err
				}
				defer unlock()
				if inside.Add(1) != 1 {
					t.Error("two holders at once")
				}
				inside.Add(-1)
				return nil
			}, func(err error) { t.Error(err) })
		})
	}
	// Only the lasting files stay.
	if got := names(t, filepath.Join(d.Run, "locks")); got != "attended firewall hosts images network" {
		t.Errorf("files left: %s", got)
	}
}

// TestOrphanedLocks: an object lock's file without a holder is an orphan until the lock is taken again.
func TestOrphanedLocks(t *testing.T) {
	d := newDir(t)
	left := func(want ...string) {
		t.Helper()
		got, err := d.OrphanedLocks()
		must(t, err)
		if !slices.Equal(got, want) {
			t.Errorf("orphaned locks %q, want %q", got, want)
		}
	}
	left()
	network, err := d.LockShared(NetworkLock)
	must(t, err)
	network() // a lasting file is not an orphan
	held, err := d.LockObject("volume-held")
	must(t, err)
	must(t, os.WriteFile(d.LockPath("volume-killed"), nil, 0o600))
	left("volume-killed")
	taken, err := d.LockObject("volume-killed")
	must(t, err)
	left()
	taken()
	held()
	left()
	_, done := d.FirstSweep(MarkSwept)
	done()
	left()
	if got := names(t, filepath.Join(d.Run, "locks")); got != "attended firewall hosts images network swept" {
		t.Errorf("files left: %s", got)
	}

	unlock, err := d.LockWithData("export-1", "/there")
	must(t, err)
	unlock()
	left()
	must(t, os.WriteFile(d.LockPath("export-1"), []byte("/there"), 0o600))
	data, unlock, err := d.LockOrphaned("export-1")
	must(t, err)
	unlock()
	if data != "/there" {
		t.Errorf("data %q", data)
	}
	left()
}

// TestObjectLocksDuringScan: object locks exclude each other although their file is removed with each holder, and
// although others scan for orphaned locks.
func TestObjectLocksDuringScan(t *testing.T) {
	d := newDir(t)
	stop := make(chan struct{})
	var lookers sync.WaitGroup
	for range 2 {
		lookers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				left, err := d.OrphanedLocks()
				must(t, err)
				for _, name := range left {
					must(t, d.DropLock(name))
				}
			}
		})
	}
	var inside atomic.Int32
	for range 20 {
		race(20, func(int) error {
			unlock, err := d.LockObject("volume-one")
			if err != nil {
				return err
			}
			if inside.Add(1) != 1 {
				t.Error("two holders at once")
			}
			inside.Add(-1)
			unlock()
			return nil
		}, func(err error) { t.Error(err) })
	}
	close(stop)
	lookers.Wait()
	if got := names(t, filepath.Join(d.Run, "locks")); got != "attended firewall hosts images network" {
		t.Errorf("files left: %s", got)
	}
}

// TestLockForReading: readers exclude writers, not each other, and make no file.
func TestLockForReading(t *testing.T) {
	d := newDir(t)
	unlock, err := d.LockForReading("images")
	must(t, err)
	unlock()
	if _, err := os.Stat(filepath.Join(d.Run, "locks")); err == nil {
		t.Error("a reader made the lock directory")
	}
	unlock, err = d.LockShared("images")
	must(t, err)
	reader := func() error {
		unlock, err := d.LockForReading("images")
		if err == nil {
			unlock()
		}
		return err
	}
	waiting := make(chan error, 1)
	go func() { waiting <- reader() }()
	select {
	case <-waiting:
		t.Error("a reader and a writer at once")
	case <-time.After(50 * time.Millisecond):
		unlock()
		must(t, <-waiting)
	}
	unlock, err = d.LockForReading("images")
	must(t, err)
	must(t, reader())
	go func() {
		unlock, err := d.LockShared("images")
		if err == nil {
			unlock()
		}
		waiting <- err
	}()
	select {
	case <-waiting:
		t.Error("a writer and a reader at once")
	case <-time.After(50 * time.Millisecond):
		unlock()
		must(t, <-waiting)
	}
}

// TestLockWaitEnds: a wait for any lock ends when the process is told to end. A free lock can still be taken, so that
// work can be undone, and a lock that arrives after the wait is released.
func TestLockWaitEnds(t *testing.T) {
	d := newDir(t)
	locks := map[string]func() (func(), error){
		"a container's": func() (func(), error) { return d.Lock(testID) },
		"shared":        func() (func(), error) { return d.LockShared("network") },
		"object":        func() (func(), error) { return d.LockObject("names") },
		"reading":       func() (func(), error) { return d.LockForReading("network") },
	}
	for name, lock := range locks {
		t.Run(name, func(t *testing.T) {
			take := lock
			if name == "reading" { // readers share it, so a writer must hold it
				take = locks["shared"]
			}
			unlock, err := take()
			must(t, err)
			ctx, stop := interrupt.Notify(context.Background(), syscall.SIGUSR1)
			defer stop()
			time.AfterFunc(50*time.Millisecond, func() { _ = syscall.Kill(os.Getpid(), syscall.SIGUSR1) })
			if _, err := lock(); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, want context.Canceled", err)
			}
			<-ctx.Done()
			free, err := d.LockShared("another")
			must(t, err)
			free()
			unlock()
			stop()
			again, err := lock() // the abandoned wait releases it
			must(t, err)
			again()
		})
	}
}
