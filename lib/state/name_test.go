package state

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	d := newDir(t)
	d.add(t, "aaaaaaaaaaaa", "web", 0)
	if err := d.ClaimName("web", "bbbbbbbbbbbb"); err == nil || err.Error() != "name web is taken by container aaaaaaaaaaaa" {
		t.Errorf("a taken name: %v", err)
	}
	for _, name := range []string{"../x", "", "a\nb", strings.Repeat("n", 300)} {
		if d.ClaimName(name, "aaaaaaaaaaaa") == nil {
			t.Errorf("%q is accepted", name)
		}
		must(t, d.ReleaseName(name, "aaaaaaaaaaaa"))
	}
	must(t, d.ReleaseName("web", "bbbbbbbbbbbb"))
	if got, err := d.Resolve("web"); got != "aaaaaaaaaaaa" {
		t.Errorf("released by another container: %v", err)
	}
	must(t, d.ReleaseName("web", "aaaaaaaaaaaa"))
	must(t, d.ReleaseName("web", "aaaaaaaaaaaa"))
	must(t, os.MkdirAll(d.Bundle("bbbbbbbbbbbb"), 0o700))
	must(t, d.ClaimName("web", "bbbbbbbbbbbb"))
}

// TestStaleNameIsTakenOver: one of many concurrent claims takes over the name of a container that is gone.
func TestStaleNameIsTakenOver(t *testing.T) {
	d := newDir(t)
	for round := range 3 {
		for _, holder := range []string{"dddddddddddd", "", "no id"} {
			path := filepath.Join(d.Names(), "web")
			must(t, WriteFile(path, []byte(holder+"\n"), 0o600))
			id := func(i int) string { return fmt.Sprintf("%012x", round*100+i) }
			for i := range 20 {
				must(t, os.MkdirAll(d.Bundle(id(i)), 0o700))
			}
			winners := race(20, func(i int) error { return d.ClaimName("web", id(i)) }, func(err error) {
				if !strings.Contains(err.Error(), "name web is taken by container ") {
					t.Errorf("unexpected error %v", err)
				}
			})
			if len(winners) != 1 || Holder(path) != id(winners[0]) {
				t.Fatalf("held by %q before: winners %v, held by %s", holder, winners, Holder(path))
			}
		}
	}
}

// TestNameClaimsAreSerialized forces the race of TestStaleNameIsTakenOver, which shows only by luck.
func TestNameClaimsAreSerialized(t *testing.T) {
	d := newDir(t)
	must(t, os.MkdirAll(d.Bundle("aaaaaaaaaaaa"), 0o700))
	for name, do := range map[string]func() error{
		"claim":   func() error { return d.ClaimName("web", "aaaaaaaaaaaa") },
		"release": func() error { return d.ReleaseName("web", "aaaaaaaaaaaa") },
	} {
		unlock, err := d.LockObject("names")
		must(t, err)
		done := make(chan error, 1)
		go func() { done <- do() }()
		select {
		case <-done:
			t.Errorf("%s does not wait for the lock", name)
		case <-time.After(50 * time.Millisecond):
		}
		unlock()
		must(t, <-done)
	}
}
