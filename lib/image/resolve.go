package image

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// Resolve returns the image for arg: a name (mysql:5.7.25; the default tag is latest; or with a digest), else a digest
// of an image or its manifest, else a unique prefix of an image id. If there is none, the error wraps
// [state.ErrNotFound].
func (s *Store) Resolve(arg string) (*Image, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	entries, err := s.match(index, arg)
	if err != nil {
		return nil, err
	}
	return s.load(index, entries[0])
}

// match returns the entries of the index for arg: one for a name, all entries of the image for an id.
func (s *Store) match(index *v1.Index, arg string) ([]v1.Descriptor, error) {
	if ref, err := ParseReference(arg); err == nil {
		for _, entry := range index.Manifests {
			if named(entry, ref) {
				return []v1.Descriptor{entry}, nil
			}
		}
	}
	prefix := strings.TrimPrefix(arg, "sha256:")
	if prefix == "" || len(prefix) > 64 || !isHex(prefix) {
		return nil, notFound(arg)
	}
	var found []v1.Descriptor
	ids := make(map[digest.Digest]bool)
	for _, entry := range index.Manifests {
		manifest, err := s.readManifest(entry)
		if err != nil {
			continue // a damaged image must not hide the others
		}
		id := manifest.Config.Digest
		if strings.HasPrefix(id.Encoded(), prefix) || arg == entry.Digest.String() || arg == sourceDigest(entry).String() {
			found, ids[id] = append(found, entry), true
		}
	}
	switch len(ids) {
	case 0:
		return nil, notFound(arg)
	case 1:
		return found, nil
	}
	return nil, fmt.Errorf("image %s: ambiguous id prefix", arg)
}

func notFound(arg string) error { return fmt.Errorf("image %.300q: %w", arg, state.ErrNotFound) }

// named reports whether ref names the entry: by its name, or by its repository and digest.
func named(entry v1.Descriptor, ref Reference) bool {
	own, err := ParseReference(entry.Annotations[v1.AnnotationRefName])
	if err != nil {
		return false
	}
	if ref.Digest != "" {
		return own.Repo() == ref.Repo() && (ref.Digest == entry.Digest || ref.Digest == sourceDigest(entry))
	}
	return own == ref
}

// List returns all images, newest first. Unreadable images are reported to bad and left out.
func (s *Store) List(bad func(error)) ([]*Image, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	var list []*Image
	seen := make(map[digest.Digest]bool)
	for i := len(index.Manifests) - 1; i >= 0; i-- {
		img, err := s.load(index, index.Manifests[i])
		switch {
		case err != nil:
			bad(err)
		case !seen[img.ConfigDigest]:
			seen[img.ConfigDigest] = true
			list = append(list, img)
		}
	}
	return list, nil
}

// load reads the image of an index entry with its layers.
func (s *Store) load(index *v1.Index, entry v1.Descriptor) (*Image, error) {
	img, err := s.head(index, entry)
	if err != nil {
		return nil, err
	}
	for i, chain := range chainIDs(img.Config.RootFS.DiffIDs) {
		layer, err := s.readLayer(chain)
		if err == nil && layer.DiffID != img.Config.RootFS.DiffIDs[i] {
			err = fmt.Errorf("layer %s has another diff id", shortID(chain))
		}
		if err != nil {
			return nil, fmt.Errorf("image %.300q is damaged, pull it again: %w", img.Name(), err)
		}
		img.Layers = append(img.Layers, layer)
		img.Size += layer.Size
	}
	return img, nil
}

// head reads manifest and configuration of an image. Its names are those of all entries with the same configuration.
func (s *Store) head(index *v1.Index, entry v1.Descriptor) (*Image, error) {
	name := entry.Annotations[v1.AnnotationRefName]
	if name == "" {
		name = entry.Digest.String()
	}
	manifest, err := s.readManifest(entry)
	if err != nil {
		return nil, fmt.Errorf("image %.300q: %w", name, err)
	}
	img := &Image{
		ID:           shortID(manifest.Config.Digest),
		ConfigDigest: manifest.Config.Digest,
		Digest:       sourceDigest(entry),
		Manifest:     entry,
	}
	img.Created, _ = time.Parse(time.RFC3339Nano, entry.Annotations[annotationCreated])
	if err := s.readBlobJSON(manifest.Config, &img.Config); err != nil {
		return nil, fmt.Errorf("image %.300q: configuration: %w", name, err)
	}
	for _, other := range index.Manifests {
		ref, err := ParseReference(other.Annotations[v1.AnnotationRefName])
		if err != nil {
			continue
		}
		if other.Digest != entry.Digest {
			if m, err := s.readManifest(other); err != nil || m.Config.Digest != img.ConfigDigest {
				continue
			}
		}
		img.References = append(img.References, ref)
	}
	return img, nil
}

// readLayer returns a layer, if it is complete.
func (s *Store) readLayer(chain digest.Digest) (Layer, error) {
	if err := checkDigest(chain); err != nil {
		return Layer{}, err
	}
	var l Layer
	err := state.ReadJSON(filepath.Join(s.layerPath(chain), layerFile), &l)
	if errors.Is(err, fs.ErrNotExist) {
		return l, fmt.Errorf("layer %s is missing", shortID(chain))
	}
	l.Dir = filepath.Join(s.layerPath(chain), layerFS)
	return l, err
}
