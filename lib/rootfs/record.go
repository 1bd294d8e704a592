package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/state"
)

// Record is the content of rootfs.json: what the stage created for a container.
type Record struct {
	Name    string   `json:"name,omitempty"` // claimed name; empty if the container has only its id
	Image   string   `json:"image"`          // familiar name, or id
	ImageID string   `json:"imageID"`        // digest of the image configuration
	Driver  string   `json:"driver"`
	Layers  []string `json:"layers"`        // directories, lowest first
	Env     []string `json:"env,omitempty"` // of image and user, without the defaults
	Volumes []Volume `json:"volumes,omitempty"`
}

// Volume is a volume or bind of a container.
type Volume struct {
	Name        string `json:"name,omitempty"` // empty for a bind
	Source      string `json:"source"`         // on the host
	Destination string `json:"destination"`    // in the container
	ReadOnly    bool   `json:"readOnly,omitempty"`
	Anonymous   bool   `json:"anonymous,omitempty"` // removed with the container
}

// ReadRecord returns the record of container id, or the zero Record if there is none.
func ReadRecord(dir state.Dir, id string) (Record, error) {
	var r Record
	err := state.ReadJSON(recordPath(dir, id), &r)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return r, err
}

// recordOf is [ReadRecord] for removal, which must work without a record. If the record is missing or damaged, recordOf
// returns what other files of the state say about the container: its name and its anonymous volumes.
func (m *Manager) recordOf(id string) (r Record, torn bool) {
	r, err := ReadRecord(m.dir, id)
	if err == nil && r.Driver != "" {
		return r, false
	}
	r = Record{}
	if name := m.dir.NameOf(id); name != id {
		r.Name = name
	}
	entries, _ := os.ReadDir(m.dir.Volumes()) // a missing directory has none
	for _, e := range entries {
		var info VolumeInfo
		err := state.ReadJSON(filepath.Join(m.volumeDir(e.Name()), volumeFile), &info)
		if err == nil && info.Container == id && !info.Kept {
			r.Volumes = append(r.Volumes, Volume{Name: e.Name(), Anonymous: true})
		}
	}
	return r, true
}

func writeRecord(dir state.Dir, id string, r *Record) error {
	return state.WriteVolatile(recordPath(dir, id), r)
}

func recordPath(dir state.Dir, id string) string {
	return filepath.Join(dir.Bundle(id), state.RootfsFile)
}
