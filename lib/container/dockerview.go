package container

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/network"
	"github.com/weikeit/mydocker/lib/rootfs"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// The types in this file have the keys of docker's API (engine 1.47: ContainerInspect, ImageInspect, VolumeInspect) that
// scripts use.

// DockerContainer is a container as `docker container inspect` shows it.
type DockerContainer struct {
	Id, Created    string
	Path           string
	Args           []string
	State          dockerState
	Image          string // digest of the configuration
	ResolvConfPath string
	HostnamePath   string
	HostsPath      string
	LogPath        string
	Name           string // with a slash before it
	RestartCount   int
	Driver         string
	Platform       string
	HostConfig     dockerHostConfig
	Mounts         []dockerMount
	Config         dockerConfig

	NetworkSettings dockerNetworks
}

type dockerState struct {
	Status                       string
	Running, Paused, Restarting  bool
	OOMKilled, Dead              bool
	Pid, ExitCode                int
	Error, StartedAt, FinishedAt string
}

type dockerHostConfig struct {
	Binds          []string
	NetworkMode    string
	PortBindings   map[string][]dockerBinding
	RestartPolicy  dockerRestart
	AutoRemove     bool
	Privileged     bool
	ReadonlyRootfs bool
	Dns            []string
	Memory         int64
	NanoCpus       int64
	CpuShares      uint64
	CpuPeriod      uint64
	CpuQuota       int64
	CpusetCpus     string
	CpusetMems     string
	MemorySwap     int64
	PidsLimit      int64
	Runtime        string

	MemoryReservation int64
}

type dockerBinding struct{ HostIp, HostPort string }

type dockerRestart struct {
	Name              string
	MaximumRetryCount int
}

type dockerMount struct {
	Type        string
	Name        string `json:",omitempty"`
	Source      string
	Destination string
	Driver      string `json:",omitempty"`
	Mode        string
	RW          bool
	Propagation string
}

type dockerConfig struct {
	Hostname     string
	User         string
	ExposedPorts map[string]struct{} `json:",omitempty"`
	Tty          bool
	OpenStdin    bool
	Env          []string
	Cmd          []string
	Image        string
	Volumes      map[string]struct{}
	WorkingDir   string
	Entrypoint   []string
	Labels       map[string]string
	StopSignal   string `json:",omitempty"`
}

type dockerNetworks struct {
	SandboxKey  string
	Ports       map[string][]dockerBinding
	IPAddress   string
	IPPrefixLen int
	Gateway     string
	MacAddress  string
	Networks    map[string]dockerEndpoint

	GlobalIPv6Address string
}

type dockerEndpoint struct {
	Aliases     []string
	NetworkID   string
	EndpointID  string
	Gateway     string
	IPAddress   string
	IPPrefixLen int
	IPv6Gateway string
	MacAddress  string

	GlobalIPv6Address   string
	GlobalIPv6PrefixLen int
}

// bothViews gives a template docker's fields and ours. If both have a field, docker's is used, because it is embedded
// less deeply.
type bothViews struct {
	DockerContainer
	ours
}

type ours struct{ containerView }

// Docker returns a container as docker shows it.
func (e *Engine) Docker(c *state.Container) (DockerContainer, error) {
	record, err := rootfs.ReadRecord(e.Dir, c.ID)
	if err != nil {
		return DockerContainer{}, err
	}
	bundle, row, process := e.Dir.Bundle(c.ID), newRow(c, pausedNow()(c)), c.Spec.ProcessPart()
	v := DockerContainer{
		Id: c.ID, Created: dockerTime(c.Created), Name: "/" + row.Name, Image: c.Spec.Annotation(spec.AnnotationImageID), Driver: row.Driver,
		Platform: "linux", LogPath: e.spawn.LogPath(c.ID), RestartCount: c.Spawn.Restarts, Args: []string{},
		ResolvConfPath: filepath.Join(bundle, rootfs.ResolvFile), HostnamePath: filepath.Join(bundle, rootfs.HostnameFile),
		HostsPath: filepath.Join(bundle, rootfs.HostsFile), State: dockerStateOf(c, row.Status), Mounts: []dockerMount{},
	}
	if len(process.Args) > 0 {
		v.Path, v.Args = process.Args[0], process.Args[1:]
	}
	v.Config = e.dockerConfigOf(c, record)
	v.HostConfig = e.dockerHostConfigOf(c)
	v.NetworkSettings = e.dockerNetworksOf(c)
	for _, volume := range record.Volumes {
		v.addVolume(volume)
	}
	return v, nil
}

func (v *DockerContainer) addVolume(volume rootfs.Volume) {
	m := dockerMount{Type: "bind", Source: volume.Source, Destination: volume.Destination, RW: !volume.ReadOnly, Propagation: "rprivate"}
	name := volume.Source
	if volume.Name != "" {
		m.Type, m.Name, m.Driver, m.Propagation = "volume", volume.Name, "local", ""
		name = volume.Name
		v.Config.Volumes[volume.Destination] = struct{}{}
	}
	if volume.ReadOnly {
		m.Mode = "ro"
	}
	v.Mounts = append(v.Mounts, m)
	if volume.Anonymous {
		return
	}
	mode := "rw"
	if volume.ReadOnly {
		mode = "ro"
	}
	v.HostConfig.Binds = append(v.HostConfig.Binds, name+":"+volume.Destination+":"+mode)
}

func dockerStateOf(c *state.Container, status string) dockerState {
	s := dockerState{
		Status: status, Running: c.Running, Paused: status == state.StatusPaused, Restarting: c.Restarting(), OOMKilled: c.Spawn.OOMKilled,
		StartedAt: dockerTime(c.Spawn.Started), FinishedAt: dockerTime(c.Spawn.Finished),
	}
	if c.Running {
		s.Pid = c.Run.Init.Number()
	} else {
		s.ExitCode = c.Spawn.ExitCode
	}
	return s
}

func dockerTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (e *Engine) dockerConfigOf(c *state.Container, record rootfs.Record) dockerConfig {
	p := c.Spec.ProcessPart()
	config := dockerConfig{
		Hostname: c.Spec.Hostname, User: p.User.Username, Tty: p.Terminal, Env: p.Env, Cmd: p.Args, Image: record.Image,
		OpenStdin: c.Spec.Annotation(spec.AnnotationInteractive) == "true", WorkingDir: p.Cwd, Labels: c.Spec.Labels(),
		Volumes: make(map[string]struct{}), StopSignal: c.Spec.Annotation(spec.AnnotationStop),
	}
	if config.User == "" && (p.User.UID != 0 || p.User.GID != 0) {
		config.User = strconv.Itoa(int(p.User.UID)) + ":" + strconv.Itoa(int(p.User.GID))
	}
	for _, port := range splitList(c.Spec.Annotation(spec.AnnotationExposed)) {
		if config.ExposedPorts == nil {
			config.ExposedPorts = make(map[string]struct{})
		}
		config.ExposedPorts[port] = struct{}{}
	}
	img, err := e.Images.Resolve(record.ImageID)
	if err != nil {
		return config // of a directory, or of a removed image: its entrypoint is not known
	}
	if entry := img.Config.Config.Entrypoint; len(entry) > 0 && len(entry) <= len(p.Args) && slices.Equal(entry, p.Args[:len(entry)]) {
		config.Entrypoint, config.Cmd = entry, p.Args[len(entry):]
	}
	return config
}

func (e *Engine) dockerHostConfigOf(c *state.Container) dockerHostConfig {
	h := dockerHostConfig{
		NetworkMode: dockerMode(c.Net), PortBindings: dockerBindings(c.Net.Ports), AutoRemove: !e.Dir.Kept(c.ID),
		ReadonlyRootfs: c.Spec.Root != nil && c.Spec.Root.Readonly, Dns: splitList(c.Spec.Annotation(spec.AnnotationDNS)),
		RestartPolicy: dockerRestart{Name: "no"}, Runtime: "mydocker", Privileged: isPrivileged(c.Spec),
	}
	if policy := c.Spec.Annotation(spec.AnnotationRestart); policy != "" {
		name, count, _ := strings.Cut(policy, ":")
		most, _ := strconv.Atoi(count) // none: 0, no limit
		h.RestartPolicy = dockerRestart{name, most}
	}
	if r := c.Spec.LinuxPart().Resources; r != nil {
		h.addLimits(r)
	}
	return h
}

// isPrivileged reports whether a container has all devices of the host, and no masked paths.
func isPrivileged(s *spec.Spec) bool {
	return s.Annotation(spec.AnnotationDevices) == "a" && len(s.LinuxPart().MaskedPaths) == 0
}

func dockerMode(n state.Net) string {
	if n.Mode == "bridge" && len(n.Endpoints) > 0 && n.Endpoints[0].Network != network.Default {
		return n.Endpoints[0].Network
	}
	return n.Mode
}

func (h *dockerHostConfig) addLimits(r *specs.LinuxResources) {
	if m := r.Memory; m != nil {
		h.Memory, h.MemorySwap, h.MemoryReservation = valueOf(m.Limit), valueOf(m.Swap), valueOf(m.Reservation)
	}
	if r.Pids != nil {
		h.PidsLimit = valueOf(r.Pids.Limit)
	}
	cpu := r.CPU
	if cpu == nil {
		return
	}
	h.CpuShares, h.CpuPeriod, h.CpuQuota = valueOf(cpu.Shares), valueOf(cpu.Period), valueOf(cpu.Quota)
	h.CpusetCpus, h.CpusetMems = cpu.Cpus, cpu.Mems
	if h.CpuQuota > 0 && h.CpuPeriod > 0 {
		h.NanoCpus = int64(float64(h.CpuQuota) / float64(h.CpuPeriod) * 1e9)
	}
}

func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func dockerBindings(ports []state.Port) map[string][]dockerBinding {
	bindings := make(map[string][]dockerBinding)
	for _, p := range ports {
		key, ip := strconv.Itoa(int(p.ContainerPort))+"/"+p.Protocol, "0.0.0.0"
		if p.HostIP.IsValid() {
			ip = p.HostIP.String()
		}
		bindings[key] = append(bindings[key], dockerBinding{ip, strconv.Itoa(int(p.HostPort))})
	}
	return bindings
}

func (e *Engine) dockerNetworksOf(c *state.Container) dockerNetworks {
	v := dockerNetworks{SandboxKey: e.Dir.NetNS(c.ID), Ports: dockerBindings(c.Net.Ports), Networks: make(map[string]dockerEndpoint)}
	for _, port := range splitList(c.Spec.Annotation(spec.AnnotationExposed)) {
		if _, published := v.Ports[port]; !published {
			v.Ports[port] = nil
		}
	}
	for i, end := range c.Net.Endpoints {
		d := dockerEndpoint{
			Aliases: end.Aliases, NetworkID: end.Network, EndpointID: end.ID, MacAddress: end.MAC,
			IPAddress: end.Address.Addr().String(), IPPrefixLen: end.Address.Bits(),
		}
		if end.Address6.IsValid() {
			d.GlobalIPv6Address, d.GlobalIPv6PrefixLen = end.Address6.Addr().String(), end.Address6.Bits()
		}
		if n, err := e.Network.Inspect(end.Network); err == nil { // otherwise the network was removed
			for _, gateway := range n.Gateways {
				if gateway.Is4() {
					d.Gateway = gateway.String()
				} else {
					d.IPv6Gateway = gateway.String()
				}
			}
		}
		if i == 0 {
			v.IPAddress, v.IPPrefixLen, v.Gateway, v.MacAddress, v.GlobalIPv6Address = d.IPAddress, d.IPPrefixLen, d.Gateway, d.MacAddress, d.GlobalIPv6Address
		}
		v.Networks[end.Network] = d
	}
	return v
}

// DockerImage is an image as `docker image inspect` shows it.
type DockerImage struct {
	Id           string
	RepoTags     []string
	RepoDigests  []string
	Comment      string
	Created      string
	Author       string
	Config       v1.ImageConfig
	Architecture string
	Variant      string `json:",omitempty"`
	Os           string
	Size         int64
	RootFS       dockerRootFS
}

type dockerRootFS struct {
	Type   string
	Layers []string
}

// bothImageViews is [bothViews] for an image.
type bothImageViews struct {
	DockerImage
	oursOfImage
}

type oursOfImage struct{ imageView }

// NewDockerImage returns an image as docker shows it.
func NewDockerImage(img *image.Image) DockerImage {
	v := DockerImage{
		Id: img.ConfigDigest.String(), RepoTags: []string{}, RepoDigests: []string{}, Author: img.Config.Author, Config: img.Config.Config,
		Architecture: img.Config.Architecture, Variant: img.Config.Variant, Os: img.Config.OS, Size: img.Size,
		RootFS: dockerRootFS{Type: "layers", Layers: []string{}},
	}
	if created := img.Config.Created; created != nil {
		v.Created = dockerTime(*created)
	}
	if n := len(img.Config.History); n > 0 {
		v.Comment = img.Config.History[n-1].Comment
	}
	for _, ref := range img.References {
		if ref.Tag != "" {
			v.RepoTags = append(v.RepoTags, ref.String())
		}
		if d := ref.Repo() + "@" + img.Digest.String(); !slices.Contains(v.RepoDigests, d) {
			v.RepoDigests = append(v.RepoDigests, d)
		}
	}
	for _, l := range img.Layers {
		v.RootFS.Layers = append(v.RootFS.Layers, l.DiffID.String())
	}
	return v
}

// DockerVolume is a volume as `docker volume inspect` shows it.
type DockerVolume struct {
	CreatedAt  string
	Driver     string
	Labels     map[string]string
	Mountpoint string
	Name       string
	Options    map[string]string
	Scope      string
}

// Volume returns a volume as docker shows it.
func (e *Engine) Volume(name string) (DockerVolume, error) {
	row, err := e.rootfs.Volume(name)
	if err != nil {
		return DockerVolume{}, err
	}
	return DockerVolume{
		CreatedAt: row.Created.UTC().Format(time.RFC3339), Driver: row.Driver, Labels: map[string]string{}, Mountpoint: row.Mountpoint,
		Name: row.Name, Options: map[string]string{}, Scope: "local",
	}, nil
}

// InspectFor returns an object for a template, with docker's fields, and ours if docker has none of that name.
func (e *Engine) InspectFor(arg string) (value any, err error) {
	_, value, err = e.Inspect(arg)
	if err != nil {
		return nil, err
	}
	switch view := value.(type) {
	case *containerView:
		c, err := e.Load(arg)
		if err != nil {
			return nil, err
		}
		docker, err := e.Docker(c)
		return bothViews{docker, ours{*view}}, err
	case imageView:
		img, err := e.Images.Resolve(arg)
		if err != nil {
			return nil, err
		}
		return bothImageViews{NewDockerImage(img), oursOfImage{view}}, nil
	}
	return value, nil
}
