package state

import (
	"path/filepath"
	"testing"
)

func TestMonitorBytes(t *testing.T) {
	d := newDir(t)
	const other = "fffffffffffe"
	look := func() (this, that bool) {
		monitored, done := d.MonitorBytes()
		defer done()
		return monitored(testID), monitored(other)
	}
	if this, that := look(); this || that {
		t.Error("monitored before anybody was there")
	}
	first := d.LockMonitorByte(testID)
	again := d.LockMonitorByte(testID) // as a monitor does while who started it is still there
	if this, that := look(); !this || that {
		t.Errorf("one is monitored: %t, and the other: %t", this, that)
	}
	must(t, first.Close())
	defer d.LockMonitorByte(other).Close()
	if this, that := look(); !this || !that {
		t.Errorf("both are monitored: %t, %t", this, that)
	}
	must(t, again.Close())
	if this, that := look(); this || !that {
		t.Errorf("one was left: %t, the other was not: %t", this, that)
	}
}

// TestAbandonedWhileAttended: a note that names a dead process counts only when nobody stays with the container.
func TestAbandonedSkipsMonitored(t *testing.T) {
	d := newDir(t)
	_, dead := selfAndDead(t)
	must(t, WriteVolatile(filepath.Join(d.Runtime(testID), RunFile), Run{Init: dead, Monitor: dead}))
	staying := d.LockMonitorByte(testID)
	if ids, err := d.Abandoned(); err != nil || len(ids) != 0 {
		t.Errorf("while it is monitored: %v, %v", ids, err)
	}
	must(t, staying.Close())
	if ids, err := d.Abandoned(); err != nil || len(ids) != 1 {
		t.Errorf("when it is not: %v, %v", ids, err)
	}
}
