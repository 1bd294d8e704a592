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

// The directory of a container appears and disappears as a whole, by rename(2). What a killed command leaves has a
// temporary name, and the next delete removes it ([Store.Sweep]). The command that makes it holds a lock on it.

// temporary begins the names of incomplete directories: no id contains "~".
const temporary = state.TempPrefix + "~"

// claim makes the container's directory with its first records. It fails if the id is in use.
func (b *Container) claim() error {
	parent := filepath.Dir(b.dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	for try := 0; ; try++ {
		err := b.claimIn(parent)
		if !errors.Is(err, fs.ErrNotExist) || try == 10 { // a sweep removed it before it was locked
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
	err = whole.publish(b.dir)
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

// publish writes the first records into a new directory and gives it its name.
func (b *Container) publish(dir string) error {
	if err := b.link(groupLink, b.spec.Linux.CgroupsPath); err != nil {
		return err
	}
	if err := b.save(); err != nil {
		return err
	}
	return syscall.Rename(b.dir, dir) // replaces an empty directory, as an early release left them
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
	return os.RemoveAll(temp) // a sweep may remove it at the same time
}

// lockDir locks a directory until the file is closed.
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

// Sweep removes the directories that killed commands left.
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
