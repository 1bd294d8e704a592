package rootfs

import "github.com/weikeit/mydocker/lib/state"

// Rename records another name of container id, for its removal. The caller holds the container's lock.
func (m *Manager) Rename(id, name string) error {
	record, err := ReadRecord(m.dir, id)
	if err != nil || record.Driver == "" || record.Name == name {
		return err
	}
	record.Name = name
	return state.WriteJSON(recordPath(m.dir, id), &record)
}
