package rootfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

// TestFailedRemoveKeepsRecord checks that a removal that fails keeps the record, so that the next one can complete it.
func TestFailedRemoveKeepsRecord(t *testing.T) {
	h := newFixture(t)
	const id = "0123456789ab"
	must(t, writeRecord(h.dir, id, &Record{Name: "web"}))
	must(t, h.dir.ClaimName("web", id))
	obstacle := filepath.Join(h.dir.Run, "locks", "names") // a directory cannot be locked
	mustMkdir(t, obstacle, 0o700)
	if err := h.Remove(context.Background(), id, true); err == nil {
		t.Fatal("the name was released without its lock")
	}
	if got := h.record(id).Name; got != "web" {
		t.Errorf("the record has name %q", got)
	}
	must(t, os.Remove(obstacle))
	must(t, h.Remove(context.Background(), id, true))
	for _, path := range []string{h.dir.Bundle(id), filepath.Join(h.dir.Names(), "web")} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, held by %q", path, err, state.Holder(path))
		}
	}
}
