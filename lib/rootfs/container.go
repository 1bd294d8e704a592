package rootfs

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/program"
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

// fillProcess completes the process of the document. Fields that neither user nor image sets keep their value.
func (c *container) fillProcess(s *spec.Spec, root *linux.Root) error {
	p, config := s.ProcessPart(), c.image.Config.Config
	if args := command(config, c.options.Entrypoint, c.args); len(args) > 0 {
		p.Args = args
	}
	if len(p.Args) == 0 {
		return fmt.Errorf("image %s names no program: pass one as argument", c.record.Image)
	}
	p.CommandLine = ""
	if c.options.TTY != nil {
		p.Terminal = *c.options.TTY
	}
	switch {
	case c.options.Workdir != "":
		p.Cwd = path.Clean(c.options.Workdir)
	case config.WorkingDir != "":
		p.Cwd = path.Clean("/" + config.WorkingDir)
	case p.Cwd == "":
		p.Cwd = "/"
	}
	user := c.options.User
	if user == "" {
		user = config.User
	}
	home, err := program.FillUser(p, root, user)
	if err != nil {
		return err
	}
	if err := program.AddGroups(p, root, c.posture.groups); err != nil {
		return err
	}
	if len(c.posture.groups) > 0 { // for exec with another user
		s.Annotate(spec.AnnotationGroups, strings.Join(c.posture.groups, ","))
	}
	defaults := []program.Variable{{Name: "HOME", Value: home}, {Name: "HOSTNAME", Value: s.Hostname}}
	if p.Terminal {
		defaults = append(defaults, program.Variable{Name: "TERM", Value: "xterm"})
	}
	p.Env = program.DefaultEnv(slices.Clone(c.record.Env), defaults)
	return nil
}

// environment merges the variables of the document, the image, --env-file and -e, in this order, and adds a default
// PATH.
func (c *container) environment(s *spec.Spec) []string {
	env := program.SetEnv(s.ProcessPart().Env, append(imageEnv(c.image.Config.Config.Env), c.env...))
	return program.DefaultEnv(env, []program.Variable{{Name: "PATH", Value: program.DefaultPath}})
}

// command combines entrypoint and arguments as docker does ("Understand how CMD and ENTRYPOINT interact"): arguments of
// the user replace the image's Cmd; an entrypoint of the user replaces Entrypoint and Cmd.
func command(config v1.ImageConfig, entrypoint *string, args []string) []string {
	switch {
	case entrypoint == nil && len(args) == 0:
		return slices.Concat(config.Entrypoint, config.Cmd)
	case entrypoint == nil:
		return slices.Concat(config.Entrypoint, args)
	case *entrypoint == "":
		return args
	}
	return append([]string{*entrypoint}, args...)
}

// imageEnv parses the environment of an image. Words that are not assignments are left out.
func imageEnv(words []string) []program.Variable {
	var vars []program.Variable
	for _, word := range words {
		name, value, valued := strings.Cut(word, "=")
		if valued && name != "" && !strings.ContainsRune(word, 0) {
			vars = append(vars, program.Variable{Name: name, Value: value})
		}
	}
	return vars
}

// propagateRoot sets the propagation of the container's root that a bind with this propagation needs: a mount under a
// private root neither sends nor receives mount events (mount_namespaces(7)).
func propagateRoot(s *spec.Spec, propagation string) {
	l := s.LinuxPart()
	switch strings.TrimPrefix(propagation, "r") {
	case "shared":
		l.RootfsPropagation = "rshared"
	case "slave":
		if l.RootfsPropagation != "rshared" && l.RootfsPropagation != "shared" {
			l.RootfsPropagation = "rslave"
		}
	}
}

// applyIDMap writes the user namespace and its id map into the document.
func (c *container) applyIDMap(s *spec.Spec) error {
	o := c.posture.idMap
	if o.mode == idMapUnset {
		return nil
	}
	l := s.LinuxPart()
	if o.mode == idMapHost {
		s.RemoveNamespace(specs.UserNamespace)
		l.UIDMappings, l.GIDMappings = nil, nil
		return nil
	}
	if o.mode == idMapAuto {
		first, err := c.dir.ClaimIDRange(c.id)
		if err != nil {
			return err
		}
		o.uid, o.gid = first, first
	}
	s.SetNamespace(specs.UserNamespace, "")
	l.UIDMappings = []specs.LinuxIDMapping{{HostID: o.uid, Size: o.size}}
	l.GIDMappings = []specs.LinuxIDMapping{{HostID: o.gid, Size: o.size}}
	return nil
}
