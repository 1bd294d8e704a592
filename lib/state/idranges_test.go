package state

import (
	"os"
	"testing"
)

func TestIDRanges(t *testing.T) {
	d := Dir{Root: t.TempDir(), Run: t.TempDir()}
	ids := []string{"0123456789ab", "0123456789ac", "0123456789ad"}
	var first [3]uint32
	for i, id := range ids {
		if err := os.MkdirAll(d.Bundle(id), 0o700); err != nil {
			t.Fatal(err)
		}
		n, err := d.ClaimIDRange(id)
		if err != nil {
			t.Fatal(err)
		}
		first[i] = n
	}
	if first != [3]uint32{0x70000000, 0x70010000, 0x70020000} {
		t.Errorf("%x", first)
	}
	// A released range, and that of a container that is gone, are given out again.
	if err := d.ReleaseIDRange(ids[1]); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(d.Bundle(ids[0])); err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint32{0x70000000, 0x70010000, 0x70030000} {
		id := NewID()
		if err := os.MkdirAll(d.Bundle(id), 0o700); err != nil {
			t.Fatal(err)
		}
		if got, err := d.ClaimIDRange(id); err != nil || got != want {
			t.Errorf("%x %v, want %x", got, err, want)
		}
	}
	if err := d.ReleaseIDRange("ffffffffffff"); err != nil {
		t.Error(err)
	}
}
