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

// A stage of the pipe exits when it has printed its document. Where the document goes is unknown: into a file, to a
// user who types the next stage, or nowhere. So what the stages have made stays, and is listed, until the document is
// run or the container removed.

// Prepared returns container id if stages of the pipe have made it and it has no owner. It has only what the stages
// have recorded.
func (d Dir) Prepared(id string) (c *Container, ok bool) {
	if _, err := os.Stat(d.Config(id)); !errors.Is(err, fs.ErrNotExist) || d.isOwned(id) || d.Extent(id) != Active {
		return nil, false
	}
	c = &Container{ID: id, Spec: spec.New(id), Prepared: true}
	if c.Net, _ = d.ReadNet(id); c.Net.NetNS != "" {
		return nil, false // another program's namespace is not a container
	}
	var record struct{ Name, Image, ImageID, Driver string }
	_ = ReadJSON(filepath.Join(d.Bundle(id), RootfsFile), &record) // rootfs.json is missing if only another stage ran
	c.Spec.Annotate(spec.AnnotationName, record.Name)
	c.Spec.Annotate(spec.AnnotationImage, record.Image)
	c.Spec.Annotate(spec.AnnotationImageID, record.ImageID)
	c.Spec.Annotate(spec.AnnotationDriver, record.Driver)
	c.Created, _ = linux.BirthTime(d.Bundle(id))
	return c, true
}

// The ages at which a prepared container is listed as possibly forgotten, and as lost.
const (
	Forgotten = time.Hour
	Lost      = 24 * time.Hour
)
