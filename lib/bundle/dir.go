package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// The directory of a container comes and goes as a whole, by a rename(2): what a command left when it was killed bears no
// container's id, and the next delete removes it ([Store.Sweep]). Its maker has it locked.

// temporary starts the names of directories that are not whole: no id has such a letter.
const temporary = state.TempPrefix + "~"

// claim makes the container's directory, with what is known of the container, unless there is one of this id.
func (b *Container) claim() error {
	parent := filepath.Dir(b.dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	for try := 0; ; try++ {
		err := b.claimIn(parent)
		if !errors.Is(err, fs.ErrNotExist) || try == 10 { // else a sweep came between making and locking it
			return err
		}
	}
}

func (b *Container) claimIn(parent string) error {
	temp, err := os.MkdirTemp(parent, temporary)
	if err != nil {
		return err
	}
	lock, err := lockDir(temp)
	if err != nil {
		return err
	}
	defer lock.Close()
	whole := *b
	whole.dir = temp
	if err = whole.link(groupLink, b.spec.Linux.CgroupsPath); err == nil {
		err = whole.save()
	}
	if err == nil {
		// One that is empty was left by a version of ours that made it first.
		err = syscall.Rename(temp, b.dir)
	}
	b.Config = whole.Config
	if err == nil {
		return nil
	}
	_ = os.RemoveAll(temp)
	if errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOTEMPTY) {
		return fmt.Errorf("container with id exists: %s", b.ID)
	}
	return err
}

// forget removes the container's directory.
func (b *Container) forget() error {
	temp := filepath.Join(filepath.Dir(b.dir), temporary+state.NewID())
	err := syscall.Rename(b.dir, temp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", b.dir, err)
	}
	return os.RemoveAll(temp) // a sweep may be at it as well
}

// lockDir says that somebody is about a directory until the file is closed.
func lockDir(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(linux.RawFD(dir), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return dir, nil
}

// Sweep removes what commands that were killed had of directories.
func (bs *Store) Sweep() error {
	entries, err := os.ReadDir(bs.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), temporary) {
			continue
		}
		path := filepath.Join(bs.dir, e.Name())
		if lock, err := lockDir(path); err == nil {
			errs = append(errs, os.RemoveAll(path))
			lock.Close()
		}
	}
	return errors.Join(errs...)
}
