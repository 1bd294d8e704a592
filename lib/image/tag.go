package image

import (
	"fmt"
	"maps"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Tag gives an image one more name. An image that had the name before stays, without it. The error wraps
// state.ErrNotFound where there is no image that arg means.
func (s *Store) Tag(arg, name string) error {
	ref, err := ParseReference(name)
	if err != nil {
		return err
	}
	if ref.Digest != "" {
		return fmt.Errorf("name %.300q: a digest is what an image is, not what it is called", name)
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
