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

// TakenError says that a claim failed because Holder has it.
type TakenError struct {
	Path   string
	Holder string
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("%s is taken by %s", filepath.Base(e.Path), e.Holder)
}

// Claim makes the file at path with the content holder, or returns a [TakenError] where it exists.
// The file appears together with its content (link(2) of a finished file), so no reader sees an
// empty claim. A holder makes its claims in one directory one after the other. It does not wait for the disk:
// what is to stay after a crash is for [Dir.Persist].
func Claim(path, holder string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp := tempClaim(dir, holder)
	_ = os.Remove(tmp) // of one that was killed: the file may have the claim's name already
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

// Holder returns who claimed the file at path, or "" where nobody did.
func Holder(path string) string {
	data, err := linux.ReadRecord(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// Release gives up the claim at path if holder has it, and what it left if it was killed while it made
// one there. It is idempotent.
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

// ReleaseAll is [Release] for every claim in a directory: of a holder of whom nobody knows what it has.
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

// tempClaim is what a claim is before it has its name. The holder's name makes it one that a release finds.
func tempClaim(dir, holder string) string {
	return filepath.Join(dir, TempPrefix+filepath.Base(holder))
}
