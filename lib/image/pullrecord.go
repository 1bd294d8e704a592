package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// pullRecord has the blobs and layers that a running pull needs. While its process lives, no removal deletes them.
type pullRecord struct {
	Process state.Process   `json:"process"`
	Blobs   []digest.Digest `json:"blobs"`
	Chains  []digest.Digest `json:"chains"`
}

func (s *Store) pullsDir() string { return filepath.Join(s.dir.Run, "pulls") }

// pulls returns the records of running pulls, and the paths of those of killed pulls. A record that is not JSON is of
// a killed pull too, since records are written in one step. Any other unreadable record may be of a running pull and is
// an error.
func (s *Store) pulls() (running []pullRecord, dead []string, err error) {
	entries, err := os.ReadDir(s.pullsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, e := range entries {
		path := filepath.Join(s.pullsDir(), e.Name())
		var record pullRecord
		var torn *json.SyntaxError
		err := state.ReadJSON(path, &record)
		switch {
		case errors.Is(err, fs.ErrNotExist): // the pull has ended
		case errors.As(err, &torn), err == nil && record.Process.Life() == state.Dead:
			dead = append(dead, path)
		case err != nil:
			return nil, nil, fmt.Errorf("read record of a pull: %w", err)
		default:
			running = append(running, record)
		}
	}
	return running, dead, nil
}

// dropDeadPulls removes the records of killed pulls. The caller must hold the store's lock, under which records are
// written.
func (s *Store) dropDeadPulls() error {
	_, dead, err := s.pulls()
	for _, path := range dead {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// register writes the pull's record, with the layers if they are known. Then it also sweeps the store, except what
// interrupted pulls can resume.
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
	if len(p.layers) == 0 { // the record does not protect the layers yet
		return nil
	}
	if _, _, err := p.store.sweep(index, resumable); err != nil {
		slog.Debug("skip sweep of image store", "cause", err)
	}
	return nil
}

// prepare creates the store if it does not exist, and returns its index. The caller must hold the store's lock.
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

// dropConfig removes the configuration of a failed pull, if nothing else needs it. Its layers stay, so that the next
// pull can resume.
func (s *Store) dropConfig(config digest.Digest) {
	index, unlock, err := s.lockIndex()
	if err != nil {
		return
	}
	defer unlock()
	n, err := s.needed(index)
	if err != nil || n.blobs[config.Encoded()] {
		return
	}
	_ = os.Remove(s.blobPath(config)) // on failure, the next sweep removes it
	_ = os.Remove(s.sourcesPath(config))
}
