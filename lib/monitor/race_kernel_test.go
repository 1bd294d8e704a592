package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sync/errgroup"
)

// swapping makes a path a directory, a link out of the container by its name, and one by "..", in turn, until stop is
// called, as a program in another container with the same volume could.
func swapping(t *testing.T, place, outside string) (stop func()) {
	t.Helper()
	end := make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		for i := 0; ; i++ {
			select {
			case <-end:
				return nil
			default:
			}
			made := place + ".new"
			_ = os.RemoveAll(made)
			switch i % 3 {
			case 0:
				_ = os.Mkdir(made, 0o755)
			case 1:
				_ = os.Symlink(outside, made)
			default:
				_ = os.Symlink(strings.Repeat("../", 30)+outside, made)
			}
			_ = os.RemoveAll(place)
			_ = os.Rename(made, place)
		}
	})
	var once sync.Once
	return func() {
		once.Do(func() {
			close(end)
			_ = g.Wait()
		})
	}
}

// TestSwappedPlaces: the mount points, the working directory and /dev/console are in a directory that another container
// changes during the start. A run may fail, but nothing is made, mounted or written outside.
func TestSwappedPlaces(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "console"), []byte("precious\n"), 0o600))
	b := newBox(t, "echo x > /shared/place/made/file; echo x > /shared/dev/x; true")
	shared := filepath.Join(b.top, "shared")
	must(t, os.MkdirAll(filepath.Join(shared, "dev"), 0o755))
	must(t, os.Symlink(filepath.Join(outside, "console"), filepath.Join(shared, "dev", "console")))
	stop := swapping(t, filepath.Join(shared, "place"), outside)
	defer stop()
	b.spec.Mounts = append(b.spec.Mounts,
		specs.Mount{Destination: "/shared", Type: "bind", Source: shared, Options: []string{"rbind"}},
		specs.Mount{Destination: "/shared/place/made", Type: "tmpfs", Source: "tmpfs"},
		specs.Mount{Destination: "/shared/place/bound", Type: "bind", Source: shared, Options: []string{"bind"}})
	b.spec.Process.Cwd = "/shared/place/cwd"
	b.spec.Linux.MaskedPaths = append(b.spec.Linux.MaskedPaths, "/shared/place/masked")
	b.spec.Linux.ReadonlyPaths = append(b.spec.Linux.ReadonlyPaths, "/shared/place/locked")
	ran := 0
	for range 40 {
		if got := b.run(); got.failure == nil {
			ran++
		}
	}
	stop()
	entries, err := os.ReadDir(outside)
	must(t, err)
	if len(entries) != 1 || readFile(t, filepath.Join(outside, "console")) != "precious\n" {
		t.Errorf("outside: %v", entries)
	}
	if ran == 0 {
		t.Error("no run succeeded: nothing was tested")
	}
}
