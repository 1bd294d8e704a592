package image

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Removed lists what a removal deleted.
type Removed struct {
	Untagged []string        // names, such as mysql:5.7.25
	Deleted  []digest.Digest // image id and chain ids of its layers; empty if other names remain
	Bytes    int64           // total size of unpacked layers and blobs
}

// Remove removes a name or, given an id, all names of an image. With the last name it removes the image and those of its
// blobs and layers that nothing else needs. Before that, it calls inUse with the store locked; an error of inUse, which
// names the users of the image, stops the removal.
func (s *Store) Remove(arg string, inUse func(*Image) error) (*Removed, error) {
	index, unlock, err := s.lockRemoval()
	if err != nil {
		return nil, err
	}
	defer unlock()
	entries, err := s.match(index, arg)
	if err != nil {
		return nil, err
	}
	img, err := s.head(index, entries[0])
	if err != nil {
		return nil, err
	}
	if len(entries) > 1 && len(repositories(entries)) > 1 {
		return nil, fmt.Errorf("image %s has names in several repositories: remove each by name: %s", img.ID, strings.Join(repositories(entries), " "))
	}
	last := len(entries) >= len(img.References)
	if last {
		if err := inUse(img); err != nil {
			return nil, err
		}
	}
	removed := &Removed{}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool {
		gone := slices.ContainsFunc(entries, func(e v1.Descriptor) bool { return sameEntry(e, d) })
		if name := d.Annotations[v1.AnnotationRefName]; gone && name != "" {
			removed.Untagged = append(removed.Untagged, name)
		}
		return gone
	})
	if err := s.writeIndex(index); err != nil {
		return nil, err
	}
	if last {
		removed.Deleted = append(removed.Deleted, img.ConfigDigest)
	}
	// Even if names remain: the removed name may have had its own manifest.
	return removed, removed.sweep(s, index)
}

// Prune removes images without a name, or, if all is set, also those with names. It keeps images in use. Then it removes
// the blobs and layers that no image, container or pull needs.
func (s *Store) Prune(all bool, used func(*Image) bool) (*Removed, error) {
	index, unlock, err := s.lockRemoval()
	if err != nil {
		return nil, err
	}
	defer unlock()
	removed := &Removed{}
	var kept []v1.Descriptor
	for _, entry := range index.Manifests {
		img, err := s.head(index, entry)
		if err != nil || !all && len(img.References) > 0 || used(img) { // unreadable images stay
			kept = append(kept, entry)
			continue
		}
		if name := entry.Annotations[v1.AnnotationRefName]; name != "" {
			removed.Untagged = append(removed.Untagged, name)
		}
		if !slices.Contains(removed.Deleted, img.ConfigDigest) {
			removed.Deleted = append(removed.Deleted, img.ConfigDigest)
		}
	}
	if len(kept) < len(index.Manifests) {
		index.Manifests = kept
		if err := s.writeIndex(index); err != nil {
			return nil, err
		}
	}
	return removed, removed.sweep(s, index)
}

// sweep sweeps the store and adds what that removed.
func (r *Removed) sweep(s *Store, index *v1.Index) error {
	chains, bytes, err := s.sweep(index, nil)
	r.Deleted = append(r.Deleted, chains...)
	r.Bytes += bytes
	return err
}

func sameEntry(a, b v1.Descriptor) bool {
	return a.Digest == b.Digest && a.Annotations[v1.AnnotationRefName] == b.Annotations[v1.AnnotationRefName]
}

func repositories(entries []v1.Descriptor) []string {
	var repos []string
	for _, e := range entries {
		if ref, err := ParseReference(e.Annotations[v1.AnnotationRefName]); err == nil && !slices.Contains(repos, ref.Repo()) {
			repos = append(repos, ref.Repo())
		}
	}
	return repos
}
