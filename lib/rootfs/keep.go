package rootfs

import (
	"slices"

	"github.com/weikeit/mydocker/lib/state"
)

// KeepVolumes makes the anonymous volumes of container id stay when it is removed.
func (m *Manager) KeepVolumes(id string) error {
	if err := state.CheckID(id); err != nil {
		return err
	}
	record, err := ReadRecord(m.dir, id)
	if err != nil || record.Driver == "" {
		return err
	}
	record.Volumes = slices.DeleteFunc(record.Volumes, func(v Volume) bool { return v.Anonymous })
	return state.WriteJSON(recordPath(m.dir, id), &record) // the volumes are lost if this is
}
