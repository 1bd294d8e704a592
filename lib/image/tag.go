package image

import (
	"fmt"
	"maps"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Tag adds a name to an image. If another image had the name, that image stays without it. If there is no image arg, the
// error wraps state.ErrNotFound.
func (s *Store) Tag(arg, name string) error {
	ref, err := ParseReference(name)
	if err != nil {
		return err
	}
	if ref.Digest != "" {
		return fmt.Errorf("image name %.300q: a tag must not have a digest", name)
	}
	index, unlock, err := s.lockIndex()
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := s.match(index, arg)
	if err != nil {
		return err
	}
	entry := entries[0]
	entry.Annotations = maps.Clone(entry.Annotations)
	if entry.Annotations == nil {
		entry.Annotations = make(map[string]string)
	}
	entry.Annotations[v1.AnnotationRefName] = ref.String()
	if !addEntry(index, entry) {
		return nil
	}
	return s.writeIndex(index)
}
