package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

func TestPrune(t *testing.T) {
	s := newStore(t)
	gz := v1.MediaTypeImageLayerGzip
	base := tarOf(file("a", "1"))
	mustPull(t, s, newFake(t, "named", gz, base))
	old := mustPull(t, s, newFake(t, "x", gz, base, tarOf(file("b", "22")))).Image
	used := mustPull(t, s, newFake(t, "x", gz, base, tarOf(file("b", "333")))).Image
	mustPull(t, s, newFake(t, "x", gz, base, tarOf(file("b", "4444"))))
	inUse := func(img *Image) bool { return img.ConfigDigest == used.ConfigDigest }

	r, err := s.Prune(false, inUse)
	if err != nil || len(r.Untagged) != 0 || !slices.Contains(r.Deleted, old.ConfigDigest) || len(r.Deleted) != 2 || r.Bytes < 2 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, arg := range []string{"named", "x", used.ID} {
		if img, err := s.Resolve(arg); err != nil || tree(t, img.LayerDirs()[0]) != "a=1\n" {
			t.Errorf("%s: %v", arg, err)
		}
	}
	r, err = s.Prune(true, inUse)
	if err != nil || !slices.Equal(r.Untagged, []string{"named:latest", "x:latest"}) || len(r.Deleted) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if img, err := s.Resolve(used.ID); err != nil || tree(t, img.LayerDirs()[1]) != "b=333\n" {
		t.Error(err)
	}
	if _, err := s.Prune(true, func(*Image) bool { return false }); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{s.dir.Layers(), filepath.Join(s.dir.Images(), "blobs/sha256")} {
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("left in %s: %v", dir, left)
		}
	}
}

// TestPullDuringRemoval pulls, removes and prunes images that share a layer concurrently. Each successful pull must
// return a complete image, and all remaining images must be complete.
func TestPullDuringRemoval(t *testing.T) {
	s := newStore(t)
	base := tarOf(file("base", noise(30000)))
	var sources []*fake
	for i := range 4 {
		sources = append(sources, newFake(t, fmt.Sprintf("x%d", i), v1.MediaTypeImageLayerGzip, base, tarOf(file("own", fmt.Sprint(i)))))
	}
	var pulls, others sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	for i, src := range sources {
		pulls.Go(func() {
			for range 6 {
				// Pull resolves the image under the store's lock, so the result was complete at that time.
				if r, err := pullFrom(s, src); err != nil || len(r.Image.Layers) != 2 || r.Image.Name() != fmt.Sprintf("x%d:latest", i) {
					t.Errorf("pull: %v", err)
				}
			}
		})
		others.Go(func() {
			for ctx.Err() == nil {
				_, err := s.Remove(fmt.Sprintf("x%d", i), func(*Image) error { return nil })
				if err != nil && !errors.Is(err, state.ErrNotFound) {
					t.Errorf("remove: %v", err)
				}
				if _, err := s.Prune(i%2 == 0, func(*Image) bool { return false }); err != nil {
					t.Errorf("prune: %v", err)
				}
			}
		})
	}
	pulls.Wait()
	stop()
	others.Wait()
	for i, src := range sources {
		img := mustPull(t, s, src).Image
		if got := tree(t, img.LayerDirs()[0]) + tree(t, img.LayerDirs()[1]); got != "base="+noise(30000)+fmt.Sprintf("\nown=%d\n", i) {
			t.Errorf("x%d is not complete: %d bytes", i, len(got))
		}
	}
	clean(t, s)
	for d := range sources[0].blobs {
		data, err := s.readBlob(d)
		if err != nil || digest.FromBytes(data) != d {
			t.Errorf("blob %s: %v", d, err)
		}
	}
}
