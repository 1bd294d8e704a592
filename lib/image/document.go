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

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// maxDocument limits manifests and configurations, which are read into memory. Docker and containerd limit manifests to
// 4 and 8 MiB.
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

// readBlob reads a small blob. It does not verify the digest again: the pull did, and only root can write here.
func (s *Store) readBlob(d digest.Digest) ([]byte, error) {
	if err := checkDigest(d); err != nil {
		return nil, err
	}
	f, err := os.Open(s.blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s is missing", shortID(d))
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

// writeBlob writes a small blob. The caller must hold the store's lock.
func (s *Store) writeBlob(d digest.Digest, data []byte) error {
	path := s.blobPath(d)
	if old, err := os.ReadFile(path); err == nil && d.Algorithm().FromBytes(old) == d {
		return nil
	}
	return state.WriteFile(path, data, 0o600)
}

// readBounded reads a document of at most maxDocument bytes.
func readBounded(r io.Reader) ([]byte, error) {
	data, err := linux.ReadLimited(r, maxDocument)
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	return data, nil
}
