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

// Locks whose files tell that a command was killed ([state.Dir.LeftLocks]), beside those on layers and blobs.
const (
	indexLock   = "index"   // index.json is being written
	removalLock = "removal" // what no image needs is being removed
	pullLock    = "pull-"   // and a number: a pull
	exportLock  = "export-" // and a number: an image is being written to the file or layout that the lock's file names
)

// withExportNote writes an image to a path outside the store: do gets the name of a temporary file beside it. The note of a
// layout ends with a slash.
func (s *Store) withExportNote(path, suffix string, do func(temp string) error) error {
	id := state.NewID()
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	done, err := s.dir.LockWithNote(exportLock+id, path+suffix)
	if err != nil {
		return err
	}
	defer done()
	return do(tempExport(path, id))
}

func tempExport(path, id string) string {
	return filepath.Join(filepath.Dir(path), state.TempPrefix+id)
}

// settleExport removes what a writer had not finished.
func (s *Store) settleExport(id string) error {
	path, unlock, err := s.dir.LockReadNote(exportLock + id)
	if err != nil {
		return err
	}
	defer unlock()
	if strings.HasSuffix(path, "/") {
		state.RemoveTemps(path)
		state.RemoveTemps(filepath.Join(path, v1.ImageBlobsDir, digest.SHA256.String()))
		return nil
	}
	if filepath.IsAbs(path) {
		err = os.Remove(tempExport(path, id))
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// Settle brings to an end what the holder of a lock was at when it was killed. What came of a pull stays, for the next
// one to go on from. ours says that the lock is one of this package. With an error, the lock's file is gone all the same:
// what is left is found by [Store.Orphans], and no command after this one has to tell of it again.
func (s *Store) Settle(lock string) (ours bool, err error) {
	if id, ok := strings.CutPrefix(lock, exportLock); ok && state.IsID(id) {
		return true, s.settleExport(id)
	}
	spare := keepFunc(resumable)
	switch kind, rest, _ := strings.Cut(lock, "-"); {
	case lock == removalLock:
		spare = nil
	case lock == indexLock, strings.HasPrefix(lock, pullLock):
	case (kind == "layer" || kind == "blob") && digest.SHA256.Validate(rest) == nil:
	default:
		return false, nil
	}
	err = s.sweepOrphans(spare)
	unlock, lockErr := s.dir.LockObject(lock) // not before: what is done needs it as well
	if lockErr == nil {
		unlock()
	}
	return true, errors.Join(err, lockErr)
}
