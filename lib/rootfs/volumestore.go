package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// VolumeInfo is the content of volumes/NAME/volume.json. The data of the volume is next to it, in data/.
type VolumeInfo struct {
	Created   time.Time `json:"created"`
	Container string    `json:"container,omitempty"` // owner of an anonymous volume
	Kept      bool      `json:"kept,omitempty"`      // the removal of the container kept it
}

const volumeFile = "volume.json"

// volumeLock, followed by a name, is the lock on a volume. Its file remains if the holder is killed
// ([state.Dir.OrphanedLocks]).
const volumeLock = "volume-"

func (m *Manager) lockVolume(name string) (unlock func(), err error) {
	return m.dir.LockAndSettle(volumeLock+name, func() error { return m.settleVolume(name) })
}

func (m *Manager) volumeDir(name string) string  { return filepath.Join(m.dir.Volumes(), name) }
func (m *Manager) volumeData(name string) string { return filepath.Join(m.volumeDir(name), "data") }

func (m *Manager) volumeRecords(volumes []volumeOption) []Volume {
	var records []Volume
	for _, v := range volumes {
		r := Volume{Name: v.name, Source: v.source, Destination: v.destination, ReadOnly: v.readOnly, Anonymous: v.anonymous}
		if v.name != "" {
			r.Source = m.volumeData(v.name)
		}
		records = append(records, r)
	}
	return records
}

// prepareVolume creates the source of a volume's mount and returns the mount.
func (c *container) prepareVolume(ctx context.Context, v volumeOption, root *linux.Root) (specs.Mount, error) {
	if v.name == "" {
		return v.mount(v.source), c.makeSource(v.source)
	}
	if !v.anonymous { // no other process knows the random name of an anonymous volume
		unlock, err := c.lockVolume(v.name)
		if err != nil {
			return specs.Mount{}, err
		}
		defer unlock()
	}
	if err := c.createVolume(v); err != nil {
		return specs.Mount{}, err
	}
	if !v.noCopy {
		if err := c.fillVolume(ctx, v, root); err != nil {
			return specs.Mount{}, fmt.Errorf("fill from image: %w", err)
		}
	}
	return v.mount(c.volumeData(v.name)), nil
}

// makeSource creates a missing bind source as a directory. It warns, since the path is often mistyped.
func (c *container) makeSource(source string) error {
	_, err := os.Stat(source)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for dir := source; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil || dir == "/" {
			break
		}
		c.sources = append(c.sources, dir)
	}
	linux.Trace("mkdir", "-p", source)
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	c.Warn("volume source %s does not exist: created an empty directory", source)
	return nil
}

func (c *container) createVolume(v volumeOption) error {
	dir := c.volumeDir(v.name)
	info := VolumeInfo{Created: time.Now()}
	if v.anonymous {
		info.Container = c.id
	}
	if _, err := os.Lstat(filepath.Join(dir, volumeFile)); errors.Is(err, fs.ErrNotExist) {
		linux.Trace("mkdir", "-p", c.volumeData(v.name))
		if err := state.WriteJSON(filepath.Join(dir, volumeFile), info); err != nil {
			if c.unfinished(v.name) {
				_ = os.RemoveAll(dir) // otherwise `system check` reports it
			}
			return err
		}
		if !v.anonymous {
			c.named = append(c.named, v.name)
		}
	}
	err := os.Mkdir(c.volumeData(v.name), 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(c.volumeData(v.name), 0o755) // independent of the umask
}

// fillVolume copies the image's content at the destination into an empty volume, with owner and mode of the directory.
// It fills a temporary directory first, so that a partial copy never looks like a filled volume.
func (c *container) fillVolume(ctx context.Context, v volumeOption, root *linux.Root) error {
	data := c.volumeData(v.name)
	entries, err := os.ReadDir(data)
	if err != nil || len(entries) > 0 {
		return err
	}
	place, err := root.OpenDir(v.destination)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer place.Close()
	src, err := place.OpenDir(".")
	if err != nil {
		return err
	}
	defer src.Close()
	temp := filepath.Join(c.volumeDir(v.name), state.TempPrefix+"data")
	if err := linux.RemoveAll(temp); err != nil {
		return err
	}
	defer linux.RemoveAll(temp)
	if err := os.Mkdir(temp, 0o700); err != nil {
		return err
	}
	linux.Trace("cp", "-a", src.Name()+"/.", data)
	if err := copyOpenTree(ctx, src, temp, false); err != nil {
		return err
	}
	return moveContent(temp, data)
}

// moveContent moves the content of directory from into the empty directory to. It does not replace the directory
// itself: a running container may have it mounted.
func moveContent(from, to string) error {
	src, err := linux.OpenDir(from)
	if err != nil {
		return err
	}
	defer src.Close()
	names, err := src.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	dst, err := linux.OpenDir(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	return copyAttributes(src, ".", dst, ".")
}

// removeAnonymous removes the anonymous volumes of container id. A volume without volume.json is unfinished, and is the
// container's own, since its name is random.
func (m *Manager) removeAnonymous(id string, volumes []Volume) error {
	var errs []error
	for _, v := range volumes {
		if !v.Anonymous || state.CheckName("volume", v.Name) != nil {
			continue
		}
		dir := m.volumeDir(v.Name)
		var info VolumeInfo
		err := state.ReadJSON(filepath.Join(dir, volumeFile), &info)
		if err == nil && info.Container != id {
			continue
		}
		linux.Trace("rm", "-rf", dir)
		errs = append(errs, linux.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// removeEmptyVolume removes a named volume that has no data. A volume with data stays: another container may use it.
func (m *Manager) removeEmptyVolume(name string) {
	if err := os.Remove(m.volumeData(name)); err == nil || errors.Is(err, fs.ErrNotExist) {
		linux.RemoveAll(m.volumeDir(name))
	}
}
