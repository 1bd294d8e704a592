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

// container is a container that is being created.
type container struct {
	*Manager
	*plan
	id     string
	args   []string
	image  *image.Image
	record Record

	archive string // path or "-", if the root file system comes from an archive

	// What this call created, for undo.
	bundle  bool
	sources []string // directories for sources of binds, innermost first
	named   []string // named volumes
}

// create makes the bundle, writes the record and claims the name. The record protects the image from removal, and a
// release finds everything by it if a later step fails.
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
		return fmt.Errorf("create bundle: %w", err)
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

// resolve finds the layers of the root: those of an image, a directory, or an archive.
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

// fill completes the document and prepares the mounted root: volumes, mount points, working directory.
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
	if err := c.fillMounts(ctx, s, root, mounts); err != nil {
		return err
	}
	if err := makeCwd(root, s.Mounts, s.Process.Cwd); err != nil {
		return err
	}
	c.annotate(s)
	return nil
}

// fillMounts adds mounts, the tmpfs mounts and the volumes to the document and makes their mount points in the root.
func (c *container) fillMounts(ctx context.Context, s *spec.Spec, root *linux.Root, mounts []specs.Mount) error {
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
	return nil
}

// annotate writes the annotations. Labels of the image are not copied: runtimes obey some annotations (crun reads
// run.oci.*), and an image must not control the runtime.
func (c *container) annotate(s *spec.Spec) {
	for key, value := range c.labels {
		if s.Annotations == nil {
			s.Annotations = make(map[string]string)
		}
		s.Annotations[key] = value
	}
	stop := c.stopSignal
	if stop == "" {
		// The image is untrusted: an invalid signal is ignored.
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

// exposed returns the ports that an image exposes, sorted. The image is untrusted: invalid ports are left out.
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

// undo removes what this call created. It leaves a container alone that had the id before.
func (c *container) undo(ctx context.Context) (err error) {
	if c.bundle {
		err = c.Remove(ctx, c.id, true)
	}
	for _, name := range c.named {
		c.removeEmptyVolume(name)
	}
	for _, dir := range c.sources {
		os.Remove(dir) // fails if the directory is no longer empty
	}
	return err
}
