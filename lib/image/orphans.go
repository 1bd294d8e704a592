package image

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// resumeTime is how long what came of a pull that was broken off is kept, from when it was written last.
const resumeTime = 24 * time.Hour

// sparing speaks for an entry of a directory of blobs or layers that nothing needs.
type sparing func(dir string, e os.DirEntry) bool

// resumable reports whether an entry is what the next pull of an image can go on from: a blob, whole or in part, or a
// whole layer, of a pull that was broken off not long ago.
func resumable(dir string, e os.DirEntry) bool {
	name, temporary := strings.CutPrefix(e.Name(), state.TempPrefix)
	if digest.SHA256.Validate(name) != nil && digest.SHA512.Validate(name) != nil {
		return false
	}
	if e.IsDir() {
		if _, err := os.Stat(filepath.Join(dir, name, layerFile)); err != nil || temporary {
			return false
		}
	}
	info, err := e.Info()
	return err == nil && time.Since(info.ModTime()) < resumeTime
}

// Orphans returns the blobs and layers that no image, container or running pull needs: what the next removal of an
// image would take away, and the next pull, but for what is kept for a pull to go on from.
func (s *Store) Orphans() ([]state.Orphan, error) {
	unlock, err := s.dir.LockForReading(state.ImagesLock)
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
			r := state.Orphan{Kind: place.kind, Name: filepath.Join(place.dir, e.Name()), Reason: "no image, container or pull needs it"}
			spare := sparing(resumable)
			if resumable(place.dir, e) {
				r.Kept, r.Reason, spare = true, "kept for a day, for the next pull to go on from", nil
			}
			r.Remove = func(context.Context) error { return s.collect(spare) }
			found = append(found, r)
		}
	}
	return found, nil
}

// collect removes all that nothing needs, but for what is spared.
func (s *Store) collect(spare sparing) error {
	index, unlock, err := s.lockIndex()
	if err != nil {
		return err
	}
	defer unlock()
	_, _, err = s.sweep(index, spare)
	return err
}
