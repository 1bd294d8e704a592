package image

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

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
	index, err := p.store.prepare()
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

// prepare makes the store if it is new, and returns its index. It wants the store's lock.
func (s *Store) prepare() (*v1.Index, error) {
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

// dropUnneeded removes the configuration of an image that did not come to be. What came of its layers stays, for the
// next pull to go on from.
func (s *Store) dropUnneeded(config digest.Digest) {
	index, unlock, err := s.lockIndex()
	if err != nil {
		return
	}
	defer unlock()
	if n, err := s.needed(index); err == nil && !n.blobs[config.Encoded()] {
		_ = os.Remove(s.blobPath(config)) // else the next sweep does
		_ = os.Remove(s.sourcesPath(config))
	}
}
