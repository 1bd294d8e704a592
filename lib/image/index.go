package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// readIndex returns the index of the store, which is empty if the store does not exist yet.
func (s *Store) readIndex() (*v1.Index, error) {
	index := &v1.Index{MediaType: v1.MediaTypeImageIndex}
	index.SchemaVersion = 2
	if err := state.ReadJSON(s.indexPath(), index); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read image store: %w", err)
	}
	return index, nil
}

// writeIndex writes the index and, in a new store, the oci-layout file. The caller must hold the store's lock.
func (s *Store) writeIndex(index *v1.Index) error {
	done, err := s.dir.LockObject(indexLock)
	if err != nil {
		return err
	}
	defer done()
	layout := filepath.Join(s.dir.Images(), v1.ImageLayoutFile)
	if _, err := os.Stat(layout); err != nil {
		if err := state.WriteJSON(layout, v1.ImageLayout{Version: v1.ImageLayoutVersion}); err != nil {
			return err
		}
	}
	index.Versioned = specs.Versioned{SchemaVersion: 2}
	return state.WriteJSON(s.indexPath(), index)
}

// addEntry appends an entry to the index and reports whether the index changed. An image that loses its last name stays
// in the index without a name, since containers may use it.
func addEntry(index *v1.Index, entry v1.Descriptor) bool {
	name := entry.Annotations[v1.AnnotationRefName]
	count := make(map[digest.Digest]int)
	for _, old := range index.Manifests {
		count[old.Digest]++
	}
	kept := index.Manifests[:0:0]
	for _, old := range index.Manifests {
		oldName := old.Annotations[v1.AnnotationRefName]
		same := old.Digest == entry.Digest
		switch {
		case same && (name == "" || oldName == name && sourceDigest(old) == sourceDigest(entry)):
			return false
		case same && (oldName == name || oldName == ""):
			continue
		case oldName == name && name != "":
			if count[old.Digest] > 1 {
				continue
			}
			delete(old.Annotations, v1.AnnotationRefName)
		}
		kept = append(kept, old)
	}
	index.Manifests = append(kept, entry)
	return true
}

func sourceDigest(entry v1.Descriptor) digest.Digest {
	if d := digest.Digest(entry.Annotations[annotationSource]); checkDigest(d) == nil {
		return d
	}
	return entry.Digest
}
