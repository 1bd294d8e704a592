package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// sweepOrphans locks the store and sweeps it.
func (s *Store) sweepOrphans(keep keepFunc) error {
	index, unlock, err := s.lockIndex()
	if err != nil {
		return err
	}
	defer unlock()
	_, _, err = s.sweep(index, keep)
	return err
}

// sweep removes the blobs and layers that are not needed, except those that keep selects; keep may be nil. It returns
// the chain ids of the removed layers and the total size. The caller must hold the store's lock. Without an index file,
// sweep removes nothing, since containers may still use the layers.
func (s *Store) sweep(index *v1.Index, keep keepFunc) (gone []digest.Digest, bytes int64, err error) {
	if _, err := os.Stat(s.indexPath()); err != nil {
		return nil, 0, nil
	}
	n, err := s.needed(index)
	if err != nil {
		return nil, 0, err
	}
	if err := s.dropDeadPulls(); err != nil {
		return nil, 0, err
	}
	blobs := filepath.Join(s.dir.Images(), v1.ImageBlobsDir)
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		dir := filepath.Join(blobs, algorithm.String())
		_, err := sweepDir(dir, n.blobs, keep, func(name string) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				bytes += info.Size()
			}
		})
		if err != nil {
			return nil, bytes, err
		}
	}
	if _, err := sweepDir(s.sourcesDir(), n.blobs, keep, func(string) {}); err != nil {
		return nil, bytes, err
	}
	names, err := sweepDir(s.dir.Layers(), n.layers, keep, func(name string) {
		if l, err := s.readLayer(digest.NewDigestFromEncoded(digest.SHA256, name)); err == nil {
			bytes += l.Size
		}
	})
	for _, name := range names {
		gone = append(gone, digest.NewDigestFromEncoded(digest.SHA256, name))
	}
	return gone, bytes, err
}

// sweepDir removes the entries of dir, complete or temporary, that are neither needed nor selected by keep. It returns
// the names of the complete ones. It calls count with each entry before the removal.
func sweepDir(dir string, needed map[string]bool, keep keepFunc, count func(name string)) (gone []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		name, temporary := strings.CutPrefix(e.Name(), state.TempPrefix)
		if needed[name] || keep != nil && keep(dir, e) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		count(e.Name())
		if !temporary {
			gone = append(gone, name)
			// Renamed first, so that a partly removed layer does not look complete.
			tmp := filepath.Join(dir, state.TempPrefix+"gone-"+name)
			if err := os.Rename(path, tmp); err != nil {
				return gone, err
			}
			path = tmp
		}
		linux.Trace("rm", "-rf", path)
		if err := linux.RemoveAll(path); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// resumeTime is how long data of an interrupted pull is kept, from its last modification.
const resumeTime = 24 * time.Hour

// keepFunc reports whether an entry of a blob or layer directory is kept although nothing needs it.
type keepFunc func(dir string, e os.DirEntry) bool

// resumable is a [keepFunc] that selects what a pull can resume: complete and partial blobs and complete layers of a
// recently interrupted pull.
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

// needs has the names in blobs/ and layers/ that must stay.
type needs struct{ blobs, layers map[string]bool }

// needed returns what the index, containers and running pulls need. If it returns an error, nothing may be removed.
func (s *Store) needed(index *v1.Index) (needs, error) {
	n := needs{blobs: make(map[string]bool), layers: make(map[string]bool)}
	for _, entry := range index.Manifests {
		manifest, err := s.readManifest(entry)
		if err != nil {
			return n, err
		}
		var config v1.Image
		if err := s.readBlobJSON(manifest.Config, &config); err != nil {
			return n, err
		}
		n.blobs[entry.Digest.Encoded()] = true
		n.blobs[manifest.Config.Digest.Encoded()] = true
		for _, l := range manifest.Layers {
			if checkDigest(l.Digest) == nil {
				n.blobs[l.Digest.Encoded()] = true
			}
		}
		for _, chain := range chainIDs(config.RootFS.DiffIDs) {
			n.layers[chain.Encoded()] = true
		}
	}
	if err := s.neededByContainers(n); err != nil {
		return n, err
	}
	return n, s.neededByPulls(n)
}

// neededByContainers adds the layers of containers. Their images may be missing from the index, if it was lost.
func (s *Store) neededByContainers(n needs) error {
	var unknown error
	list, err := s.dir.List(func(err error) { unknown = err })
	if err = errors.Join(err, unknown); err != nil {
		return err
	}
	for _, c := range list {
		id := digest.Digest(c.Spec.Annotation(spec.AnnotationImageID))
		if id == "" {
			continue
		}
		var config v1.Image
		if err := s.readBlobJSON(v1.Descriptor{Digest: id}, &config); err != nil {
			return fmt.Errorf("container %s: image: %w", c.ID, err)
		}
		n.blobs[id.Encoded()] = true
		for _, chain := range chainIDs(config.RootFS.DiffIDs) {
			n.layers[chain.Encoded()] = true
		}
	}
	return nil
}

func (s *Store) neededByPulls(n needs) error {
	running, _, err := s.pulls()
	for _, record := range running {
		for _, d := range record.Blobs {
			n.blobs[d.Encoded()] = true
		}
		for _, d := range record.Chains {
			n.layers[d.Encoded()] = true
		}
	}
	return err
}
