package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
)

// TakenError is the error of a claim on a file that Holder has.
type TakenError struct {
	Path   string
	Holder string
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("%s is taken by %s", filepath.Base(e.Path), e.Holder)
}

// Claim makes the file at path with the content holder. If the file exists, it returns a [TakenError]. The file appears
// together with its content (link(2) of a finished file), so that no reader sees an empty claim. A holder must not make
// two claims in one directory at the same time. Claim does not wait for the disk; [Dir.Persist] does.
func Claim(path, holder string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp := tempClaim(dir, holder)
	_ = os.Remove(tmp) // left by a killed claim; it may already be linked to the claim's name
	defer os.Remove(tmp)
	if err := linux.WriteFile(tmp, []byte(holder+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.Link(tmp, path); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		return &TakenError{Path: path, Holder: Holder(path)}
	}
	return nil
}

// Holder returns the holder of the claim at path, "" if there is none.
func Holder(path string) string {
	data, err := linux.ReadRecord(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// Release removes the claim at path if holder has it, and the temporary file of a claim by holder that was killed. It
// is idempotent.
func Release(path, holder string) error {
	_ = os.Remove(tempClaim(filepath.Dir(path), holder))
	if Holder(path) != holder {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ReleaseAll is [Release] for every claim of a holder in a directory.
func ReleaseAll(dir, holder string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), TempPrefix) {
			errs = append(errs, Release(filepath.Join(dir, e.Name()), holder))
		}
	}
	_ = os.Remove(tempClaim(dir, holder))
	return errors.Join(errs...)
}

// tempClaim is a claim's file before it is linked to its name. It is named after the holder, so that a release finds
// it.
func tempClaim(dir, holder string) string {
	return filepath.Join(dir, TempPrefix+filepath.Base(holder))
}
