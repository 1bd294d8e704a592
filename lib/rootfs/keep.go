package rootfs

import (
	"path/filepath"
	"slices"

	"github.com/weikeit/mydocker/lib/state"
)

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
