package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// Manifests and configurations are read into memory, so they are bounded (docker and containerd
// bound manifests at 4 and 8 MiB).
const maxDocument = 8 << 20

func (s *Store) readManifest(d v1.Descriptor) (*v1.Manifest, error) {
	m := &v1.Manifest{}
	if err := s.readBlobJSON(d, m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := checkDigest(m.Config.Digest); err != nil {
		return nil, fmt.Errorf("manifest %s: configuration: %w", shortID(d.Digest), err)
	}
	return m, nil
}

func (s *Store) readBlobJSON(d v1.Descriptor, v any) error {
	data, err := s.readBlob(d.Digest)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("blob %s: %w", shortID(d.Digest), err)
	}
	return nil
}

// readBlob reads a small blob. It is not hashed again: it was when it came in, and nobody but root
// writes here.
func (s *Store) readBlob(d digest.Digest) ([]byte, error) {
	if err := checkDigest(d); err != nil {
		return nil, err
	}
	f, err := os.Open(s.blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s is not there", shortID(d))
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

// writeBlob wants the store's lock.
func (s *Store) writeBlob(d digest.Digest, data []byte) error {
	path := s.blobPath(d)
	if old, err := os.ReadFile(path); err == nil && d.Algorithm().FromBytes(old) == d {
		return nil
	}
	return state.WriteFile(path, data, 0o600)
}

// readBounded reads a document whole, or returns an error where it is too long to be one.
func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("a document of more than %d MiB", maxDocument>>20)
	}
	return data, err
}
