package state

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const testID = "0123456789ab"

// self and dead are two processes.
func selfAndDead(t *testing.T) (self, dead Process) {
	t.Helper()
	self, err := FindProcess(os.Getpid())
	must(t, err)
	dead = self
	dead.Start++
	return self, dead
}

func TestAcquireAndRelease(t *testing.T) {
	self, dead := selfAndDead(t)
	tests := []struct {
		name   string
		before Run // the zero Run: no note
		during Run
		after  Run
	}{
		{"a new one", Run{}, Run{Monitor: self}, Run{}},
		{"of one that was killed", Run{Init: dead, Monitor: dead}, Run{Monitor: self}, Run{}},
		{"of the stage before", Run{Monitor: dead}, Run{Monitor: self}, Run{}},
		{"one that runs", Run{Init: self, Monitor: dead}, Run{Init: self, Monitor: dead}, Run{Init: self, Monitor: dead}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDir(t)
			if tt.before != (Run{}) {
				must(t, WriteVolatile(filepath.Join(d.Runtime(testID), RunFile), tt.before))
			}
			must(t, d.Acquire(testID))
			if run, err := d.ReadRun(testID); err != nil || run != tt.during {
				t.Errorf("held: %+v, %v", run, err)
			}
			if ids, err := d.Abandoned(); err != nil || len(ids) != 0 {
				t.Errorf("abandoned: %v, %v", ids, err)
			}
			d.Release(testID)
			if run, err := d.ReadRun(testID); err != nil || run != tt.after {
				t.Errorf("let go: %+v, %v", run, err)
			}
			if _, err := os.Stat(d.Runtime(testID)); os.IsNotExist(err) != (tt.after == Run{}) {
				t.Errorf("its directory: %v", err)
			}
		})
	}
	if err := newDir(t).Acquire("../x"); err == nil {
		t.Error("a path is held")
	}
}

// TestLetGoOfAnothers: the next stage has it in its hands already.
// TestLetGoBesideASweep: who cleans up after others may make the directory of a container that is gone, for its lock,
// and is done with it while another one, who is about to let go, waits for that lock and makes it again.
func TestReleaseDuringSweep(t *testing.T) {
	d := newDir(t)
	unlock, err := d.Lock(testID)
	must(t, err)
	done := make(chan bool)
	go func() { d.Release(testID); close(done) }()
	time.Sleep(20 * time.Millisecond) // so that it waits; if it does not yet, there is nothing to see
	must(t, os.RemoveAll(d.Runtime(testID)))
	unlock()
	<-done
	if _, err := os.Stat(d.Runtime(testID)); !os.IsNotExist(err) {
		t.Errorf("its directory: %v", err)
	}
}

func TestReleaseKeepsOtherOwner(t *testing.T) {
	_, other := selfAndDead(t)
	d := newDir(t)
	must(t, d.Acquire(testID))
	must(t, WriteVolatile(filepath.Join(d.Runtime(testID), RunFile), Run{Monitor: other}))
	d.Release(testID)
	if run, err := d.ReadRun(testID); err != nil || run.Monitor != other {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestAbandoned(t *testing.T) {
	self, dead := selfAndDead(t)
	d := newDir(t)
	if ids, err := d.Abandoned(); err != nil || ids != nil {
		t.Errorf("without any: %v, %v", ids, err)
	}
	note := func(id string, run Run) {
		must(t, WriteVolatile(filepath.Join(d.Runtime(id), RunFile), run))
	}
	note("000000000001", Run{Monitor: self})
	note("000000000002", Run{Init: self, Monitor: dead})
	note("00000000000a", Run{Monitor: dead})
	note("00000000000b", Run{Init: dead, Monitor: dead})
	tear(t, filepath.Join(d.Runtime("00000000000c"), RunFile))
	// One that has ended and is kept has its lock there; where there is no bundle, the lock is a leftover.
	must(t, os.MkdirAll(d.Bundle("000000000003"), 0o700))
	for _, id := range []string{"000000000003", "00000000000d"} {
		unlock, err := d.Lock(id)
		must(t, err)
		unlock()
	}
	must(t, os.MkdirAll(filepath.Join(d.Run, "locks"), 0o700))
	ids, err := d.Abandoned()
	if want := []string{"00000000000a", "00000000000b", "00000000000c", "00000000000d"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("got %v, %v", ids, err)
	}
}

// TestHoldAndTheSweep: who sees the directory before the note waits for the lock, and then sees the note;
// where it was quicker, and removes the directory, the note comes all the same.
func TestAcquireDuringSweep(t *testing.T) {
	d := newDir(t)
	for name, do := range map[string]func(){"hold": func() { _ = d.Acquire(testID) }, "let go": func() { d.Release(testID) }} {
		unlock, err := d.Lock(testID)
		must(t, err)
		done := make(chan bool)
		go func() { do(); close(done) }()
		select {
		case <-done:
			t.Errorf("%s: beside the one who has the lock", name)
		case <-time.After(20 * time.Millisecond):
		}
		unlock()
		<-done
	}
	for range 200 {
		stop, swept := make(chan bool), make(chan bool)
		go func() {
			defer close(swept)
			for {
				select {
				case <-stop:
					return
				default:
				}
				ids, _ := d.Abandoned()
				for _, id := range ids {
					unlock, err := d.Lock(id)
					if err != nil {
						continue
					}
					if run, _ := d.ReadRun(id); !run.Monitor.Alive() {
						_ = os.RemoveAll(d.Runtime(id))
					}
					unlock()
				}
			}
		}()
		must(t, d.Acquire(testID))
		time.Sleep(100 * time.Microsecond)
		close(stop)
		<-swept
		if run, err := d.ReadRun(testID); err != nil || !run.Monitor.Alive() {
			t.Fatalf("the note is gone: %+v, %v", run, err)
		}
		d.Release(testID)
	}
}
