package container

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Inspect returns the first object that arg names, of the kinds container, image, network and volume in this order. The
// JSON of value is the README's.
func (e *Engine) Inspect(arg string) (kind string, value any, err error) {
	c, err := e.Load(arg)
	if err == nil {
		value, err := e.inspectContainer(c)
		return "container", value, err
	}
	if !errors.Is(err, state.ErrNotFound) {
		return "", nil, err
	}
	img, err := e.Images.Resolve(arg)
	if err == nil {
		counts, err := e.ImageCounts()
		return "image", inspectImage(img, img.NameOf(arg), counts), err
	}
	if !errors.Is(err, state.ErrNotFound) {
		return "", nil, err
	}
	if n, err := e.Network.Inspect(arg); err == nil {
		return "network", n.View(), nil
	}
	if v, err := e.Volume(arg); err == nil {
		return "volume", v, nil
	}
	return "", nil, fmt.Errorf("%w: no container, image, network or volume has this name", state.ErrNotFound)
}

type containerView struct {
	Detach        bool
	Uuid          string
	Name          string
	Hostname      string
	Dns           []string
	Image         string
	CreateTime    string
	Status        string
	ExitCode      *int `json:",omitempty"`
	OOMKilled     bool `json:",omitempty"` // the kernel killed one of its processes, because memory ran out
	StorageDriver string
	Rootfs        rootfsView
	Commands      []string
	Cgroups       cgroupView
	Volumes       map[string]string
	Envs          map[string]string
	Ports         map[string]string
	Endpoints     []endpointView
	Labels        map[string]string
}

type rootfsView struct{ ContainerDir, ImageDir, WriteDir, MergeDir string }

type cgroupView struct {
	Pid       int
	Path      string
	Resources cgroup.Resources
}

type endpointView struct {
	IPAddr  string
	IPAddr6 string   `json:",omitempty"`
	Aliases []string `json:",omitempty"`
	Device  string
	Network endpointNetwork
	Uuid    string
	Ports   map[string]string
}

type endpointNetwork struct {
	Driver string `json:"driver"`
	Name   string `json:"name"`
}

func (e *Engine) inspectContainer(c *state.Container) (*containerView, error) {
	record, err := rootfs.ReadRecord(e.Dir, c.ID)
	if err != nil {
		return nil, err
	}
	row := newRow(c, pausedNow()(c))
	v := &containerView{
		Detach: c.Spawn.Detached, Uuid: c.ID, Name: row.Name, Hostname: c.Spec.Hostname,
		Dns: splitList(c.Spec.Annotation(spec.AnnotationDNS)), Image: row.Image, CreateTime: FormatTime(row.Created),
		Status: row.Status, ExitCode: row.ExitCode, OOMKilled: c.Spawn.OOMKilled, StorageDriver: row.Driver,
		Rootfs: rootfsView{
			ContainerDir: e.Dir.Bundle(c.ID), ImageDir: e.Dir.Images(),
			WriteDir: filepath.Join(e.Dir.Bundle(c.ID), "diff"), MergeDir: e.Dir.Rootfs(c.ID),
		},
		Commands: row.Command,
		Cgroups:  cgroupView{Pid: row.PID, Path: c.Spec.LinuxPart().CgroupsPath, Resources: resourcesView(c)},
		Volumes:  make(map[string]string), Envs: make(map[string]string), Ports: portsView(c.Net.Ports),
		Endpoints: []endpointView{}, Labels: row.Labels,
	}
	for _, volume := range record.Volumes {
		v.Volumes[volume.Source] = filepath.Join(v.Rootfs.MergeDir, volume.Destination)
	}
	for _, word := range record.Env {
		name, value, _ := strings.Cut(word, "=")
		v.Envs[name] = value
	}
	for _, end := range c.Net.Endpoints {
		address6 := ""
		if end.Address6.IsValid() {
			address6 = end.Address6.Addr().String()
		}
		v.Endpoints = append(v.Endpoints, endpointView{
			IPAddr: end.Address.Addr().String(), IPAddr6: address6, Aliases: end.Aliases, Device: end.HostLink + "@" + end.Link,
			Network: endpointNetwork{Driver: end.Driver, Name: end.Network}, Uuid: end.ID, Ports: v.Ports,
		})
	}
	return v, nil
}

// resourcesView returns the limits in force: those of the kernel while the container runs, otherwise those of its
// document.
func resourcesView(c *state.Container) cgroup.Resources {
	if g, err := group(c); err == nil {
		return g.View(c.Spec.LinuxPart().Resources)
	}
	return cgroup.View(c.Spec.LinuxPart().Resources)
}

// portsView returns container ports by host port. The key of udp and sctp ports has the protocol, "53/udp".
func portsView(ports []state.Port) map[string]string {
	v := make(map[string]string)
	for _, p := range ports {
		host, inside, _ := strings.Cut(portText(p, 1), "->")
		if p.Protocol != "tcp" {
			host += "/" + p.Protocol
		}
		v[host] = inside
	}
	return v
}

func splitList(s string) []string {
	if s == "" {
		return []string{}
	}
	return strings.Split(s, ",")
}

type imageView struct {
	Uuid       string
	Size       string
	Counts     int
	RepoTag    string
	WorkingDir string
	CreateTime string
	Entrypoint []string
	Command    []string
	Envs       []string
}

func inspectImage(img *image.Image, name string, counts map[string]int) imageView {
	config := img.Config.Config
	return imageView{
		Uuid: img.ID, Size: Size(img.Size), Counts: counts[img.ConfigDigest.String()], RepoTag: name,
		WorkingDir: config.WorkingDir, CreateTime: FormatTime(img.Created),
		Entrypoint: config.Entrypoint, Command: config.Cmd, Envs: config.Env,
	}
}

// ImageCounts returns how many containers use each image, by the digest of its configuration.
func (e *Engine) ImageCounts() (map[string]int, error) {
	users, err := e.imageUsers()
	counts := make(map[string]int, len(users))
	for digest, names := range users {
		counts[digest] = len(names)
	}
	return counts, err
}

// imageUsers returns the names of the containers that use each image.
func (e *Engine) imageUsers() (map[string][]string, error) {
	ids, err := e.Dir.IDs()
	if err != nil {
		return nil, err
	}
	users := make(map[string][]string)
	for _, id := range ids {
		// The record is written first, the document when the container is complete.
		record, err := rootfs.ReadRecord(e.Dir, id)
		if err != nil || record.ImageID == "" {
			continue
		}
		name := record.Name
		if name == "" {
			name = id
		}
		users[record.ImageID] = append(users[record.ImageID], name)
	}
	return users, nil
}

// RemoveImage removes a name of an image, and the image with its last name. An image that containers use is an error.
func (e *Engine) RemoveImage(arg string) (*image.Removed, error) {
	return e.Images.Remove(arg, func(img *image.Image) error {
		users, err := e.imageUsers()
		if err != nil {
			return err
		}
		if names := users[img.ConfigDigest.String()]; len(names) > 0 {
			return fmt.Errorf("image %s is used by %d container(s): %s", img.Name(), len(names), strings.Join(names, ", "))
		}
		return nil
	})
}

// PruneImages removes the unnamed images that no container uses, or with all also the named ones, and everything in the
// store that no image needs.
func (e *Engine) PruneImages(all bool) (*image.Removed, error) {
	var unknown error
	removed, err := e.Images.Prune(all, func(img *image.Image) bool {
		users, err := e.imageUsers()
		unknown = errors.Join(unknown, err)
		return err != nil || len(users[img.ConfigDigest.String()]) > 0
	})
	return removed, errors.Join(err, unknown)
}
