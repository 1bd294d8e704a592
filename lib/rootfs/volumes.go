package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// VolumeRow is a volume in the output of `mydocker volume list`.
type VolumeRow struct {
	Name       string    `json:"name"`
	Driver     string    `json:"driver"`     // always "local"
	Mountpoint string    `json:"mountpoint"` // directory of its data on the host
	Created    time.Time `json:"created"`
	Anonymous  bool      `json:"anonymous"`  // created for one container, with a random name
	Containers []string  `json:"containers"` // ids of containers that use it
}

// Volumes returns the volumes sorted by name. An unreadable volume.json is reported to bad; the volume is listed anyway,
// since its data exists.
func (m *Manager) Volumes(bad func(error)) ([]VolumeRow, error) {
	entries, err := os.ReadDir(m.dir.Volumes())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	users, err := m.volumeUsers()
	if err != nil {
		bad(err)
	}
	rows := []VolumeRow{}
	for _, entry := range entries {
		if state.CheckName("volume", entry.Name()) != nil {
			continue // temporary, or not a volume
		}
		row, err := m.volumeRow(entry.Name(), users)
		if err != nil {
			bad(fmt.Errorf("volume %s: %w", entry.Name(), err))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Volume returns volume name. If it does not exist, the error wraps state.ErrNotFound.
func (m *Manager) Volume(name string) (VolumeRow, error) {
	if err := m.findVolume(name); err != nil {
		return VolumeRow{}, err
	}
	users, err := m.volumeUsers()
	if err != nil {
		return VolumeRow{}, err
	}
	return m.volumeRow(name, users)
}

func (m *Manager) volumeRow(name string, users map[string][]string) (VolumeRow, error) {
	var info VolumeInfo
	err := state.ReadJSON(filepath.Join(m.volumeDir(name), volumeFile), &info)
	return VolumeRow{
		Name: name, Driver: "local", Mountpoint: m.volumeData(name), Created: info.Created,
		Anonymous: info.Container != "", Containers: append([]string{}, users[name]...),
	}, err
}

// volumeUsers returns the ids of the containers that use each volume, from their records. If a record cannot be read,
// it returns an error and the ids that it found.
func (m *Manager) volumeUsers() (map[string][]string, error) {
	ids, err := m.dir.IDs()
	errs := []error{err}
	users := make(map[string][]string)
	for _, id := range ids {
		record, err := ReadRecord(m.dir, id)
		if err != nil {
			errs = append(errs, fmt.Errorf("read volumes of container %s: %w", id, err))
		}
		for _, v := range record.Volumes {
			if v.Name != "" && !slices.Contains(users[v.Name], id) {
				users[v.Name] = append(users[v.Name], id)
			}
		}
	}
	return users, errors.Join(errs...)
}

// CreateVolume creates an empty volume and returns its name. An empty name stands for a random one. An existing volume
// stays unchanged, as in docker.
func (m *Manager) CreateVolume(name string) (string, error) {
	if name == "" {
		name = state.NewID() + state.NewID()
	}
	if err := state.CheckName("volume", name); err != nil {
		return "", err
	}
	unlock, err := m.lockVolume(name)
	if err != nil {
		return "", err
	}
	defer unlock()
	return name, (&container{Manager: m}).createVolume(volumeOption{name: name})
}

// RemoveVolume removes a volume with its data, unless a container uses it.
func (m *Manager) RemoveVolume(name string) error {
	if err := m.findVolume(name); err != nil {
		return err
	}
	unlock, err := m.lockVolume(name)
	if err != nil {
		return err
	}
	defer unlock()
	users, err := m.volumeUsers()
	if err != nil {
		return err
	}
	if ids := users[name]; len(ids) > 0 {
		return fmt.Errorf("volume is used by container %s: remove that first", strings.Join(ids, ", "))
	}
	linux.Trace("rm", "-rf", m.volumeDir(name))
	// Renamed first, so that a partly removed volume does not look complete.
	if err := os.Rename(m.volumeDir(name), m.goneVolume(name)); err != nil {
		return err
	}
	return linux.RemoveAll(m.goneVolume(name))
}

// goneVolume returns the path of a volume during its removal.
func (m *Manager) goneVolume(name string) string { return m.volumeDir(state.TempPrefix + name) }

// KeepVolumes marks the anonymous volumes of container id, so that the removal of the container keeps them.
func (m *Manager) KeepVolumes(id string) error {
	if err := state.CheckID(id); err != nil {
		return err
	}
	record, torn := m.recordOf(id)
	if !slices.ContainsFunc(record.Volumes, func(v Volume) bool { return v.Anonymous }) {
		return nil
	}
	for _, v := range record.Volumes {
		if err := m.keepVolume(v); err != nil {
			return err
		}
	}
	if torn {
		return nil // volume.json is enough
	}
	record.Volumes = slices.DeleteFunc(record.Volumes, func(v Volume) bool { return v.Anonymous })
	return state.WriteJSON(recordPath(m.dir, id), &record) // durable: removal deletes the volumes it lists
}

// keepVolume marks an anonymous volume as kept, so that it does not count as an orphan.
func (m *Manager) keepVolume(v Volume) error {
	path := filepath.Join(m.volumeDir(v.Name), volumeFile)
	var info VolumeInfo
	if !v.Anonymous || state.CheckName("volume", v.Name) != nil || state.ReadJSON(path, &info) != nil {
		return nil
	}
	info.Kept = true
	state.RemoveTemps(m.volumeDir(v.Name)) // left by a killed process
	return state.WriteJSON(path, info)
}

func (m *Manager) findVolume(name string) error {
	if state.CheckName("volume", name) == nil {
		if _, err := os.Lstat(m.volumeDir(name)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("volume %.80q: %w", name, state.ErrNotFound)
}
