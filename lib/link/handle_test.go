package link

import (
	"testing"

	"github.com/vishvananda/netlink"
)

// A dump that was interrupted is asked for again, and is an error in the end.
func TestDump(t *testing.T) {
	tries := 0
	found, err := Dump(func() (int, error) {
		if tries++; tries < 3 {
			return 1, netlink.ErrDumpInterrupted
		}
		return 2, nil
	})
	if found != 2 || err != nil || tries != 3 {
		t.Errorf("%d, %v after %d tries", found, err, tries)
	}
	tries = 0
	if _, err := Dump(func() (int, error) { tries++; return 0, netlink.ErrDumpInterrupted }); err == nil || tries > 1000 {
		t.Errorf("%v after %d tries", err, tries)
	}
}
