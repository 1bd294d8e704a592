package state

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// TestClaimAfterKill: a release finds the temporary file of a killed claim by the holder's name.
func TestClaimAfterKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "claims")
	must(t, ReleaseAll(dir, testID)) // no directory
	must(t, Claim(filepath.Join(dir, "a"), testID))
	must(t, Claim(filepath.Join(dir, "b"), testID))
	must(t, Claim(filepath.Join(dir, "c"), "aaaaaaaaaaaa"))
	// Killed before link(2), and after it, when both names are one file.
	must(t, os.WriteFile(tempClaim(dir, "aaaaaaaaaaaa"), nil, 0o600))
	must(t, os.Link(filepath.Join(dir, "a"), tempClaim(dir, testID)))
	must(t, Claim(filepath.Join(dir, "d"), testID))
	if Holder(filepath.Join(dir, "a")) != testID || Holder(filepath.Join(dir, "d")) != testID {
		t.Error("another claim was changed")
	}
	must(t, os.WriteFile(tempClaim(dir, testID), nil, 0o600))
	must(t, ReleaseAll(dir, testID))
	must(t, Release(filepath.Join(dir, "none"), "aaaaaaaaaaaa"))
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != "c" {
		t.Errorf("left %v, %v", entries, err)
	}
}

func TestClaim(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "10.0.0.2")
	if Holder(path) != "" {
		t.Error("a holder before the first claim")
	}
	must(t, Claim(path, "first"))
	var taken *TakenError
	if err := Claim(path, "second"); !errors.As(err, &taken) || taken.Holder != "first" ||
		err.Error() != "10.0.0.2 is taken by first" {
		t.Errorf("got %v", err)
	}
	must(t, Release(path, "second")) // another holder's claim stays
	if Holder(path) != "first" {
		t.Errorf("held by %q", Holder(path))
	}
	must(t, Release(path, "first"))
	must(t, Release(path, "first"))
	if names(t, filepath.Dir(path)) != "" {
		t.Errorf("left: %s", names(t, filepath.Dir(path)))
	}
	if err := Claim(filepath.Join(path, "x"), "a"); err != nil {
		t.Error(err)
	}
}

// TestClaimsAreExclusive: one of many concurrent claims succeeds, and the others get its holder.
func TestClaimsAreExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "name")
	winners := race(50, func(i int) error { return Claim(path, strconv.Itoa(i)) }, func(err error) {
		var taken *TakenError
		if !errors.As(err, &taken) || taken.Holder == "" || taken.Holder != Holder(path) {
			t.Errorf("unexpected error %v", err)
		}
	})
	if len(winners) != 1 || Holder(path) != strconv.Itoa(winners[0]) {
		t.Errorf("winners %v, held by %s", winners, Holder(path))
	}
	if names(t, filepath.Dir(path)) != "name" {
		t.Errorf("left: %s", names(t, filepath.Dir(path)))
	}
}

// race calls do in n goroutines at once, passes errors to lost, and returns the indexes without one.
func race(n int, do func(int) error, lost func(error)) (winners []int) {
	var all sync.WaitGroup
	var mu sync.Mutex
	start := make(chan struct{})
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			<-start
			err := do(i)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners = append(winners, i)
			} else {
				lost(err)
			}
		}()
	}
	close(start)
	all.Wait()
	return winners
}
