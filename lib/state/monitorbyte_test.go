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
		t.Error("monitored before any lock")
	}
	first := d.LockMonitorByte(testID)
	again := d.LockMonitorByte(testID) // as a new monitor does while its parent still holds the lock
	if this, that := look(); !this || that {
		t.Errorf("after locking one: %t, %t", this, that)
	}
	must(t, first.Close())
	defer d.LockMonitorByte(other).Close()
	if this, that := look(); !this || !that {
		t.Errorf("after locking both: %t, %t", this, that)
	}
	must(t, again.Close())
	if this, that := look(); this || !that {
		t.Errorf("after closing one: %t, %t", this, that)
	}
}

// TestAbandonedSkipsMonitored: a run file that names a dead process counts only if no monitor has locked the byte.
func TestAbandonedSkipsMonitored(t *testing.T) {
	d := newDir(t)
	_, dead := selfAndDead(t)
	must(t, WriteVolatile(filepath.Join(d.Runtime(testID), RunFile), Run{Init: dead, Monitor: dead}))
	staying := d.LockMonitorByte(testID)
	if ids, err := d.Abandoned(); err != nil || len(ids) != 0 {
		t.Errorf("with a monitor: %v, %v", ids, err)
	}
	must(t, staying.Close())
	if ids, err := d.Abandoned(); err != nil || len(ids) != 1 {
		t.Errorf("without a monitor: %v, %v", ids, err)
	}
}
