package image

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// Locks whose files remain if a command is killed ([state.Dir.OrphanedLocks]), in addition to those of layers and blobs.
const (
	indexLock   = "index"   // index.json is being written
	removalLock = "removal" // unneeded blobs and layers are being removed
	pullLock    = "pull-"   // and an id: an image is being pulled
	exportLock  = "export-" // and an id: an image is being exported to the path in the lock file
)

// withExportNote calls do with the name of a temporary file next to path, and notes the path plus suffix in a lock file,
// so that [Store.Settle] can clean up. The suffix of a layout directory is a slash.
func (s *Store) withExportNote(path, suffix string, do func(temp string) error) error {
	id := state.NewID()
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	done, err := s.dir.LockWithData(exportLock+id, path+suffix)
	if err != nil {
		return err
	}
	defer done()
	return do(tempExport(path, id))
}

func tempExport(path, id string) string {
	return filepath.Join(filepath.Dir(path), state.TempPrefix+id)
}

// settleExport removes the temporary files of an interrupted export.
func (s *Store) settleExport(id string) error {
	path, unlock, err := s.dir.LockOrphaned(exportLock + id)
	if err != nil {
		return err
	}
	defer unlock()
	if strings.HasSuffix(path, "/") {
		state.RemoveTemps(path)
		state.RemoveTemps(filepath.Join(path, v1.ImageBlobsDir, digest.SHA256.String()))
		return nil
	}
	if !filepath.IsAbs(path) {
		return nil
	}
	if err := os.Remove(tempExport(path, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Settle cleans up after a process that was killed with the lock. Data that a pull can resume stays. ours reports whether
// the lock belongs to this package. Even on error, the lock file is removed, so that only one command reports the error;
// [Store.Orphans] finds what remains.
func (s *Store) Settle(lock string) (ours bool, err error) {
	if id, ok := strings.CutPrefix(lock, exportLock); ok && state.IsID(id) {
		return true, s.settleExport(id)
	}
	keep := keepFunc(resumable)
	switch kind, rest, _ := strings.Cut(lock, "-"); {
	case lock == removalLock:
		keep = nil
	case lock == indexLock, strings.HasPrefix(lock, pullLock):
	case (kind == "layer" || kind == "blob") && digest.SHA256.Validate(rest) == nil:
	default:
		return false, nil
	}
	err = s.sweepOrphans(keep)
	unlock, lockErr := s.dir.LockObject(lock) // only now: the sweep takes it as well
	if lockErr == nil {
		unlock()
	}
	return true, errors.Join(err, lockErr)
}
