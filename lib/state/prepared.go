package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// A stage of the pipe prints the document of what it has made, and is done. What has become of the document is not known:
// it may lie in a file, or be in the hands of a person who types the next stage, or be lost. So what it stands for stays
// until somebody runs or removes it, and is shown.

// Prepared returns what is known of container id where stages of the pipe have made it and no process has it in its
// hands: no more than what they wrote down.
func (d Dir) Prepared(id string) (c *Container, ok bool) {
	if _, err := os.Stat(d.Config(id)); !errors.Is(err, fs.ErrNotExist) || d.isOwned(id) || d.Extent(id) != Active {
		return nil, false
	}
	c = &Container{ID: id, Spec: spec.New(id), Prepared: true}
	if c.Net, _ = d.ReadNet(id); c.Net.NetNS != "" {
		return nil, false // the namespace of another program is no container
	}
	var record struct{ Name, Image, ImageID, Driver string }
	_ = ReadJSON(filepath.Join(d.Bundle(id), RootfsFile), &record) // another stage may have been the only one
	c.Spec.Annotate(spec.AnnotationName, record.Name)
	c.Spec.Annotate(spec.AnnotationImage, record.Image)
	c.Spec.Annotate(spec.AnnotationImageID, record.ImageID)
	c.Spec.Annotate(spec.AnnotationDriver, record.Driver)
	c.Created, _ = linux.BirthTime(d.Bundle(id))
	return c, true
}

// How long a document that is not run is taken for one that somebody still has: from the first on it is shown as
// possibly forgotten, and from the second on as lost.
const (
	Forgotten = time.Hour
	Lost      = 24 * time.Hour
)
