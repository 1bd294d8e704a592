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

// Remains returns the blobs and layers that no image, container or running pull needs: what the next removal of an
// image, or pull, would take away.
func (s *Store) Remains() ([]state.Remain, error) {
	unlock, err := s.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(s.indexPath()); err != nil {
		return nil, nil // a store that lost its index may still serve containers
	}
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	n, err := s.needed(index)
	if err != nil {
		return nil, err
	}
	var found []state.Remain
	blobs := filepath.Join(s.dir.Images(), v1.ImageBlobsDir)
	for _, place := range []struct {
		kind, dir string
		needed    map[string]bool
	}{
		{"blob", filepath.Join(blobs, digest.SHA256.String()), n.blobs},
		{"blob", filepath.Join(blobs, digest.SHA512.String()), n.blobs},
		{"layer", s.dir.Layers(), n.layers},
	} {
		entries, err := os.ReadDir(place.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
		for _, e := range entries {
			if !place.needed[strings.TrimPrefix(e.Name(), state.TempPrefix)] {
				found = append(found, state.Remain{Kind: place.kind, Name: filepath.Join(place.dir, e.Name()), Reason: "no image, container or pull needs it", Remove: s.collect})
			}
		}
	}
	return found, nil
}

// collect removes all that nothing needs.
func (s *Store) collect(context.Context) error {
	unlock, err := s.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	index, err := s.readIndex()
	if err == nil {
		_, _, err = s.sweep(index)
	}
	return err
}
