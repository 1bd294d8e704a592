package state

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const testID = "0123456789ab"

// selfAndDead returns this process, and one that does not exist.
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
		before Run // the zero Run: no run file
		during Run
		after  Run
	}{
		{"new container", Run{}, Run{Monitor: self}, Run{}},
		{"killed owner and program", Run{Init: dead, Monitor: dead}, Run{Monitor: self}, Run{}},
		{"killed stage", Run{Monitor: dead}, Run{Monitor: self}, Run{}},
		{"running container", Run{Init: self, Monitor: dead}, Run{Init: self, Monitor: dead}, Run{Init: self, Monitor: dead}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDir(t)
			if tt.before != (Run{}) {
				must(t, WriteVolatile(filepath.Join(d.Runtime(testID), RunFile), tt.before))
			}
			must(t, d.Acquire(testID))
			if run, err := d.ReadRun(testID); err != nil || run != tt.during {
				t.Errorf("after Acquire: %+v, %v", run, err)
			}
			if ids, err := d.Abandoned(); err != nil || len(ids) != 0 {
				t.Errorf("Abandoned: %v, %v", ids, err)
			}
			d.Release(testID)
			if run, err := d.ReadRun(testID); err != nil || run != tt.after {
				t.Errorf("after Release: %+v, %v", run, err)
			}
			if _, err := os.Stat(d.Runtime(testID)); os.IsNotExist(err) != (tt.after == Run{}) {
				t.Errorf("runtime directory: %v", err)
			}
		})
	}
	if err := newDir(t).Acquire("../x"); err == nil {
		t.Error("Acquire accepts a path as an id")
	}
}

// TestReleaseDuringSweep: a sweep may make the runtime directory of a container that is gone, for its lock, and remove
// it while Release waits for that lock and makes the directory again.
func TestReleaseDuringSweep(t *testing.T) {
	d := newDir(t)
	unlock, err := d.Lock(testID)
	must(t, err)
	done := make(chan bool)
	go func() { d.Release(testID); close(done) }()
	time.Sleep(20 * time.Millisecond) // time to start waiting; otherwise the test shows nothing
	must(t, os.RemoveAll(d.Runtime(testID)))
	unlock()
	<-done
	if _, err := os.Stat(d.Runtime(testID)); !os.IsNotExist(err) {
		t.Errorf("runtime directory: %v", err)
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
		t.Errorf("in an empty directory: %v, %v", ids, err)
	}
	write := func(id string, run Run) {
		must(t, WriteVolatile(filepath.Join(d.Runtime(id), RunFile), run))
	}
	write("000000000001", Run{Monitor: self})
	write("000000000002", Run{Init: self, Monitor: dead})
	write("00000000000a", Run{Monitor: dead})
	write("00000000000b", Run{Init: dead, Monitor: dead})
	tear(t, filepath.Join(d.Runtime("00000000000c"), RunFile))
	// A kept container that has ended has a lock file there. Without a bundle the lock file is an orphan.
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

// TestAcquireDuringSweep: a sweep that sees the directory before the run file waits for the lock, and then sees the run
// file. If the sweep is faster and removes the directory, Acquire still writes the run file.
func TestAcquireDuringSweep(t *testing.T) {
	d := newDir(t)
	for name, do := range map[string]func(){"Acquire": func() { _ = d.Acquire(testID) }, "Release": func() { d.Release(testID) }} {
		unlock, err := d.Lock(testID)
		must(t, err)
		done := make(chan bool)
		go func() { do(); close(done) }()
		select {
		case <-done:
			t.Errorf("%s does not wait for the lock", name)
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
			t.Fatalf("no run file: %+v, %v", run, err)
		}
		d.Release(testID)
	}
}
