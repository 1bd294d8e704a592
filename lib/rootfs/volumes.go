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

// VolumeRow is one volume as `mydocker volume list` shows it; its JSON is for programs.
type VolumeRow struct {
	Name       string    `json:"name"`
	Driver     string    `json:"driver"`     // always "local"
	Mountpoint string    `json:"mountpoint"` // where its data is on the host
	Created    time.Time `json:"created"`
	Anonymous  bool      `json:"anonymous"`  // made for one container, without a name of the user's
	Containers []string  `json:"containers"` // ids of those that use it
}

// Volumes returns the volumes by their names. One that cannot be read is reported to bad and shown all the same:
// its data is there.
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
			continue // being made, or not ours
		}
		row, err := m.volumeRow(entry.Name(), users)
		if err != nil {
			bad(fmt.Errorf("volume %s: %w", entry.Name(), err))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Volume returns one volume, or an error that wraps state.ErrNotFound.
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

// volumeUsers returns the ids of the containers of each volume, as their records say. With an error, a record
// could not be read, and they may not be all.
func (m *Manager) volumeUsers() (map[string][]string, error) {
	ids, err := m.dir.IDs()
	errs := []error{err}
	users := make(map[string][]string)
	for _, id := range ids {
		record, err := ReadRecord(m.dir, id)
		if err != nil {
			errs = append(errs, fmt.Errorf("what volumes container %s has is not known: %w", id, err))
		}
		for _, v := range record.Volumes {
			if v.Name != "" && !slices.Contains(users[v.Name], id) {
				users[v.Name] = append(users[v.Name], id)
			}
		}
	}
	return users, errors.Join(errs...)
}

// CreateVolume makes an empty volume; an empty name stands for a random one. A volume that is there is left as it
// is, as docker does. It returns the name.
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

// RemoveVolume removes a volume with its data, unless a container has it.
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
		return fmt.Errorf("it is used by container %s: remove that first", strings.Join(ids, ", "))
	}
	linux.Trace("rm", "-rf", m.volumeDir(name))
	// Half a volume must not look like one.
	if err := os.Rename(m.volumeDir(name), m.goneVolume(name)); err != nil {
		return err
	}
	return linux.RemoveAll(m.goneVolume(name))
}

// goneVolume is where a volume is while it is removed.
func (m *Manager) goneVolume(name string) string { return m.volumeDir(state.TempPrefix + name) }

func (m *Manager) findVolume(name string) error {
	if state.CheckName("volume", name) == nil {
		if _, err := os.Lstat(m.volumeDir(name)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("volume %.80q: %w", name, state.ErrNotFound)
}

// KeepVolumes makes the anonymous volumes of container id stay when it is removed.
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
		return nil // the volumes themselves say now that they stay
	}
	record.Volumes = slices.DeleteFunc(record.Volumes, func(v Volume) bool { return v.Anonymous })
	return state.WriteJSON(recordPath(m.dir, id), &record) // the volumes are lost if this is
}

// keepVolume notes that an anonymous volume stays by a user's will: no crash has left it.
func (m *Manager) keepVolume(v Volume) error {
	path := filepath.Join(m.volumeDir(v.Name), volumeFile)
	var info VolumeInfo
	if !v.Anonymous || state.CheckName("volume", v.Name) != nil || state.ReadJSON(path, &info) != nil {
		return nil
	}
	info.Kept = true
	state.RemoveTemps(m.volumeDir(v.Name)) // of one that was killed here
	return state.WriteJSON(path, info)
}
