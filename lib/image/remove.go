package image

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Removed is what a removal took away.
type Removed struct {
	Untagged []string        // names: mysql:5.7.25
	Deleted  []digest.Digest // the image's id and the chain ids of its layers; none while it has names
	Bytes    int64           // of the layers' files, and of the blobs
}

// Remove takes a name away, or by an id all names of an image, and with the last name the image and
// those of its blobs and layers that nothing else needs. Before an image goes, inUse is asked with the
// store locked; its error (who uses it) stops the removal.
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
		return nil, fmt.Errorf("image %s has names in several repositories: remove them one by one: %s", img.ID, strings.Join(repositories(entries), " "))
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
	// Not only then: the name may have had a manifest of its own.
	return removed, removed.sweep(s, index)
}

// Prune removes the images without a name (newer ones took it), or with all those with names as well, but
// for those in use, and then what no image, container or pull needs.
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
		if err != nil || !all && len(img.References) > 0 || used(img) { // one that cannot be read is not judged
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

// sweep sweeps the store, and notes what that took away.
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

// pullRecord says what a running pull needs.
type pullRecord struct {
	Process state.Process   `json:"process"`
	Blobs   []digest.Digest `json:"blobs"`
	Chains  []digest.Digest `json:"chains"`
}

func (s *Store) pullsDir() string { return filepath.Join(s.dir.Run, "pulls") }

// register keeps what the pull needs, as far as it knows that, from being removed, and takes away what killed
// pulls left, but for what they can still go on from.
func (p *pull) register(config digest.Digest) error {
	unlock, err := p.store.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	self, err := state.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	record := pullRecord{Process: self, Blobs: []digest.Digest{p.desc.Digest, config}}
	for _, l := range p.layers {
		record.Blobs = append(record.Blobs, l.desc.Digest)
		record.Chains = append(record.Chains, l.chain)
	}
	index, err := p.store.begin()
	if err != nil {
		return err
	}
	if err := state.WriteVolatile(p.record, record); err != nil {
		return err
	}
	if len(p.layers) == 0 { // what there is of its layers is not to be swept away
		return nil
	}
	if _, _, err := p.store.sweep(index, resumable); err != nil {
		slog.Debug("remains of other pulls are left where they are", "cause", err)
	}
	return nil
}

// begin makes the store if it is new, and returns its index. It wants the store's lock.
func (s *Store) begin() (*v1.Index, error) {
	if err := os.MkdirAll(s.dir.Layers(), 0o700); err != nil {
		return nil, err
	}
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(s.dir.Images(), v1.ImageBlobsDir)); errors.Is(err, fs.ErrNotExist) {
		return index, s.writeIndex(index)
	}
	return index, nil
}

// needs is what must stay: the names in blobs/ and layers/.
type needs struct{ blobs, layers map[string]bool }

// needed returns what the index and the running pulls need. Where that cannot be told of an image,
// nothing may be removed.
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

// neededByContainers adds the layers under containers, whatever the index says: it may have been lost.
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
	entries, err := os.ReadDir(s.pullsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(s.pullsDir(), e.Name())
		var record pullRecord
		if err := state.ReadJSON(path, &record); err != nil || record.Process.Life() == state.Dead {
			os.Remove(path)
			continue
		}
		for _, d := range record.Blobs {
			n.blobs[d.Encoded()] = true
		}
		for _, d := range record.Chains {
			n.layers[d.Encoded()] = true
		}
	}
	return nil
}

// sweep removes the blobs and layers that nothing needs, but for those that spare, if it is not nil, speaks for. It
// returns the chain ids of the layers and how many bytes all had. It wants the store's lock. A store that lost its
// index may still serve containers: nothing is removed.
func (s *Store) sweep(index *v1.Index, spare sparing) (gone []digest.Digest, bytes int64, err error) {
	if _, err := os.Stat(s.indexPath()); err != nil {
		return nil, 0, nil
	}
	n, err := s.needed(index)
	if err != nil {
		return nil, 0, err
	}
	blobs := filepath.Join(s.dir.Images(), v1.ImageBlobsDir)
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		dir := filepath.Join(blobs, algorithm.String())
		_, err := sweepDir(dir, n.blobs, spare, func(name string) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				bytes += info.Size()
			}
		})
		if err != nil {
			return nil, bytes, err
		}
	}
	if _, err := sweepDir(s.sourcesDir(), n.blobs, spare, func(string) {}); err != nil {
		return nil, bytes, err
	}
	names, err := sweepDir(s.dir.Layers(), n.layers, spare, func(name string) {
		if l, err := s.readLayer(digest.NewDigestFromEncoded(digest.SHA256, name)); err == nil {
			bytes += l.Size
		}
	})
	for _, name := range names {
		gone = append(gone, digest.NewDigestFromEncoded(digest.SHA256, name))
	}
	return gone, bytes, err
}

// sweepDir removes the entries of dir that are not needed nor spared, under their name or while they are made,
// and returns the names of the whole ones. Each is shown to count before it goes.
func sweepDir(dir string, needed map[string]bool, spare sparing, count func(name string)) (gone []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		name, temporary := strings.CutPrefix(e.Name(), state.TempPrefix)
		if needed[name] || spare != nil && spare(dir, e) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		count(e.Name())
		if !temporary {
			gone = append(gone, name)
			// Half a removed layer must not look whole.
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
