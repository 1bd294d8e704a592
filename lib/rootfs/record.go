package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/state"
)

// Record is what was made for a container: the content of rootfs.json.
type Record struct {
	Name    string   `json:"name,omitempty"` // as claimed; none: the container goes by its id
	Image   string   `json:"image"`          // familiar name, or id
	ImageID string   `json:"imageID"`        // digest of the image configuration
	Driver  string   `json:"driver"`
	Layers  []string `json:"layers"`        // directories, the lowest first
	Env     []string `json:"env,omitempty"` // of image and user, without what every container gets
	Volumes []Volume `json:"volumes,omitempty"`
}

// Volume is a directory or file from outside in a container.
type Volume struct {
	Name        string `json:"name,omitempty"` // none: a bind
	Source      string `json:"source"`         // on the host
	Destination string `json:"destination"`    // in the container
	ReadOnly    bool   `json:"readOnly,omitempty"`
	Anonymous   bool   `json:"anonymous,omitempty"` // goes with the container
}

// ReadRecord returns what was made for container id; the zero Record where nothing was.
func ReadRecord(dir state.Dir, id string) (Record, error) {
	var r Record
	err := state.ReadJSON(recordPath(dir, id), &r)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return r, err
}

// recordOf is [ReadRecord] for what must work on every container: where the record is lost or torn, it says what is to
// be taken away, as far as others know it.
func (m *Manager) recordOf(id string) (r Record, torn bool) {
	r, err := ReadRecord(m.dir, id)
	if err == nil && r.Driver != "" {
		return r, false
	}
	r = Record{}
	if name := m.dir.NameOf(id); name != id {
		r.Name = name
	}
	entries, _ := os.ReadDir(m.dir.Volumes()) // none, no directory
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
