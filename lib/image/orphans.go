package image

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// Orphans returns the blobs and layers that no image, container or running pull needs. The next removal of an image
// removes them; so does the next pull, except those that a pull can resume.
func (s *Store) Orphans() ([]state.Orphan, error) {
	unlock, err := s.dir.LockForReading(state.ImagesLock)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(s.indexPath()); err != nil {
		return nil, nil // without an index, containers may still use the layers
	}
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	n, err := s.needed(index)
	if err != nil {
		return nil, err
	}
	var found []state.Orphan
	blobs := filepath.Join(s.dir.Images(), v1.ImageBlobsDir)
	for _, place := range []struct {
		kind, dir string
		needed    map[string]bool
	}{
		{"blob", filepath.Join(blobs, digest.SHA256.String()), n.blobs},
		{"blob", filepath.Join(blobs, digest.SHA512.String()), n.blobs},
		{"source", s.sourcesDir(), n.blobs},
		{"layer", s.dir.Layers(), n.layers},
	} {
		entries, err := os.ReadDir(place.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
		for _, e := range entries {
			if place.needed[strings.TrimPrefix(e.Name(), state.TempPrefix)] {
				continue
			}
			o := state.Orphan{Kind: place.kind, Name: filepath.Join(place.dir, e.Name()), Reason: "not needed by any image, container or pull"}
			keep := keepFunc(resumable)
			if resumable(place.dir, e) {
				o.Kept, o.Reason, keep = true, "kept for a day, so that a pull can resume", nil
			}
			o.Remove = func(context.Context) error { return s.sweepOrphans(keep) }
			found = append(found, o)
		}
	}
	return found, nil
}
