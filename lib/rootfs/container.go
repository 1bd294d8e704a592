package rootfs

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// container is one that is being made.
type container struct {
	*Manager
	*plan
	id     string
	args   []string
	image  *image.Image
	record Record

	archive string // of the root file system, where it is of one

	// What this very call made, to be undone.
	bundle  bool
	sources []string // directories for sources of binds, the innermost first
	named   []string // named volumes
}

// create makes the bundle, writes down what the container will hold, so that nobody removes the image
// and a release finds everything, however far we come, and claims the name.
func (c *container) create(s *spec.Spec, ref string) error {
	unlock, err := c.images.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.resolve(ref); err != nil {
		return err
	}
	if err := c.addImageVolumes(c.image.Config.Config.Volumes); err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir.Containers(), 0o700); err != nil {
		return err
	}
	linux.Trace("mkdir", "-m", "700", c.dir.Bundle(c.id))
	if err := os.Mkdir(c.dir.Bundle(c.id), 0o700); err != nil {
		return fmt.Errorf("make the bundle: %w", err)
	}
	c.bundle = true
	c.record.Name, c.record.Driver = c.options.Name, c.driverName
	c.record.Volumes, c.record.Env = c.volumeRecords(c.volumes), c.environment(s)
	if err := writeRecord(c.dir, c.id, &c.record); err != nil {
		return err
	}
	if c.options.Name == "" {
		return nil
	}
	return c.dir.ClaimName(c.options.Name, c.id)
}

// resolve finds what the root is made of.
func (c *container) resolve(ref string) (err error) {
	if IsTree(ref) {
		return c.resolveTree(ref)
	}
	if c.image, err = c.images.Resolve(ref); err != nil {
		return err
	}
	c.record.Image, c.record.ImageID = c.image.NameOf(ref), c.image.ConfigDigest.String()
	c.record.Layers = c.image.LayerDirs()
	return nil
}

// fill does all that needs the mounted root, and writes the document.
func (c *container) fill(ctx context.Context, s *spec.Spec) error {
	root, err := linux.OpenRoot(c.dir.Rootfs(c.id))
	if err != nil {
		return err
	}
	defer root.Close()
	s.Root = &specs.Root{Path: c.dir.Rootfs(c.id), Readonly: c.options.ReadOnly}
	if c.options.Hostname != "" || s.Hostname == "" {
		s.Hostname = c.options.Hostname
	}
	if s.Hostname == "" {
		s.Hostname = c.id
	}
	if err := c.posture.apply(s); err != nil {
		return err
	}
	c.posture.applyDevices(s)
	if err := c.applyIDMap(s); err != nil {
		return err
	}
	if err := c.fillProcess(s, root); err != nil {
		return err
	}
	c.bounds.apply(s)
	mounts, err := c.writeEtc(s.Hostname)
	if err != nil {
		return err
	}
	for _, t := range c.tmpfs {
		mounts = append(mounts, t.mount())
	}
	for _, v := range c.volumes {
		mount, err := c.prepareVolume(ctx, v, root)
		if err != nil {
			return fmt.Errorf("volume %s: %w", v, err)
		}
		if v.propagation != "" {
			propagateRoot(s, v.propagation)
		}
		mounts = append(mounts, mount)
	}
	s.Mounts = dropDevMounts(addMounts(s.Mounts, mounts))
	for _, mount := range mounts {
		if err := makeMountPoint(root, s.Mounts, mount); err != nil {
			return err
		}
	}
	if err := makeCwd(root, s.Mounts, s.Process.Cwd); err != nil {
		return err
	}
	c.annotate(s)
	return nil
}

// annotate says what the document has no field for. Labels of the image stay with the image: an
// annotation can be an order to a runtime (crun obeys run.oci.*), and an image must not give any.
func (c *container) annotate(s *spec.Spec) {
	for key, value := range c.labels {
		if s.Annotations == nil {
			s.Annotations = make(map[string]string)
		}
		s.Annotations[key] = value
	}
	stop := c.stopSignal
	if stop == "" {
		// The image's is a stranger's word: what is no signal counts as none.
		if sig, err := linux.SignalNumber(c.image.Config.Config.StopSignal); err == nil {
			stop = linux.SignalName(sig)
		}
	}
	s.Annotate(spec.AnnotationName, c.options.Name)
	s.Annotate(spec.AnnotationImage, c.record.Image)
	s.Annotate(spec.AnnotationImageID, c.record.ImageID)
	s.Annotate(spec.AnnotationDriver, c.driverName)
	s.Annotate(spec.AnnotationDNS, strings.Join(c.dns, ","))
	s.Annotate(spec.AnnotationStop, stop)
	s.Annotate(spec.AnnotationExposed, exposed(c.image.Config.Config.ExposedPorts))
	if c.options.Init {
		s.Annotate(spec.AnnotationInit, "true")
	}
	if c.options.Interactive {
		s.Annotate(spec.AnnotationInteractive, "true")
	}
}

// exposed lists the ports that an image exposes, in order. They are a stranger's words: what is no port is left out.
func exposed(ports map[string]struct{}) string {
	var list []string
	for port := range ports {
		number, protocol, _ := strings.Cut(port, "/")
		if _, err := strconv.ParseUint(number, 10, 16); err != nil || number == "0" {
			continue
		}
		switch protocol {
		case "":
			port = number + "/tcp"
			fallthrough
		case "tcp", "udp", "sctp":
			list = append(list, port)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

// undo takes back what this call made, and nothing of a container that was there before.
func (c *container) undo(ctx context.Context) (err error) {
	if c.bundle {
		err = c.Remove(ctx, c.id, true)
	}
	for _, name := range c.named {
		c.removeEmptyVolume(name)
	}
	for _, dir := range c.sources {
		os.Remove(dir) // fails where somebody uses it meanwhile, and should
	}
	return err
}
