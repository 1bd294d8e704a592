package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Store are the containers of other engines: an OCI runtime's, made of a bundle that the caller has prepared,
// under an id of the caller's choice, and each step of their life is a command of its own (runtime-spec,
// runtime.md). Nobody stays with them: who started the runtime is told their end by the kernel.
//
// State: bundle.json and, until it is started, the FIFO start, below DIR/ID.
type Store struct {
	dir     string
	systemd bool
}

// Dir is where containers of bundles are kept when the caller does not say.
const Dir = "bundles"

// New returns the containers below a directory. It makes nothing. systemd says that control groups are named
// as systemd names them: slice:prefix:name.
func New(dir string, systemd bool) *Store { return &Store{dir, systemd} }

// Open returns the containers of bundles of a state directory.
func Open(dir state.Dir) *Store { return New(filepath.Join(dir.Run, Dir), false) }

// ErrNotFound says that there is no such container.
var ErrNotFound = fmt.Errorf("container does not exist: %w", fs.ErrNotExist)

// Container is one container of another engine.
type Container struct {
	ID      string          `json:"id"`
	Path    string          `json:"bundle"`
	Init    state.Process   `json:"init"`
	Created time.Time       `json:"created"`
	Mount   uint64          `json:"mount,omitempty"` // the root lay in it before the container mounted in our namespace
	Config  json.RawMessage `json:"config"`          // the document as it was

	Damaged error `json:"-"` // why what is written about it cannot be read

	dir  string
	spec *spec.Spec
}

const (
	bundleFile = "bundle.json"
	startFile  = "start"
)

// checkID refuses ids that could be anything but a name in a directory.
func checkID(id string) error {
	strange := strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_+-.", r)
	})
	if strange || id == "" || id == "." || id == ".." || len(id) > 255 {
		return fmt.Errorf("container id %.80q: want letters, digits and _+-.", id)
	}
	return nil
}

// Load returns the container with an id.
func (bs *Store) Load(id string) (*Container, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	dir := filepath.Join(bs.dir, id)
	data, err := os.ReadFile(filepath.Join(dir, bundleFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	b := &Container{dir: dir}
	if err == nil {
		err = json.Unmarshal(data, b)
	}
	if err == nil && b.ID != id {
		err = fmt.Errorf("it is not about container %s", id)
	}
	if err == nil {
		b.spec, err = spec.Read(strings.NewReader(string(b.Config)))
	}
	if err != nil {
		return damagedBundle(id, dir, fmt.Errorf("read %s: %w", bundleFile, err))
	}
	b.spec.LinuxPart()
	if b.Init.PID == 0 { // it is being made, or it was lost
		b.Init = linkedProcess(dir)
	}
	return b, nil
}

// damagedBundle returns a container that no more is known of than what cannot be torn, two links: enough to show, to
// kill and to delete it.
func damagedBundle(id, dir string, why error) (*Container, error) {
	group, err := os.Readlink(filepath.Join(dir, groupLink))
	if err != nil {
		return nil, why
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	b := &Container{ID: id, Created: info.ModTime(), Init: linkedProcess(dir), Damaged: why, dir: dir, spec: spec.New("")}
	b.spec.Annotations, b.spec.Hooks = nil, nil
	part := b.spec.LinuxPart()
	part.CgroupsPath = group
	// As if it had both: what is in a group, or mounted, that may be others', too, is not taken away.
	part.Namespaces = []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}}
	return b, nil
}

// The links of a container, which are there whole or not at all: they lead nowhere.
const (
	groupLink = "group" // the path of its control group
	firstLink = "first" // its first process
)

// link writes down in a link what is needed to end the container.
func (b *Container) link(name, text string) error {
	err := os.Symlink(text, filepath.Join(b.dir, name))
	if err != nil {
		return fmt.Errorf("note container %s: %w", b.ID, err)
	}
	return nil
}

func linkedProcess(dir string) (p state.Process) {
	text, err := os.Readlink(filepath.Join(dir, firstLink))
	if err == nil {
		_ = json.Unmarshal([]byte(text), &p)
	}
	return p
}

// Has reports whether there is a container with an id.
func (bs *Store) Has(id string) bool {
	if checkID(id) != nil {
		return false
	}
	_, err := os.Lstat(filepath.Join(bs.dir, id, bundleFile))
	return err == nil
}

// List returns all containers, by id. One that cannot be read is left out.
func (bs *Store) List() ([]*Container, error) {
	entries, err := os.ReadDir(bs.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []*Container
	for _, e := range entries {
		if b, err := bs.Load(e.Name()); err == nil {
			list = append(list, b)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list, nil
}

// read reads the document of a bundle.
func (bs *Store) read(id, path string) (*Container, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := linux.OpenInput(filepath.Join(path, "config.json"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b := &Container{ID: id, Path: path, Created: time.Now(), dir: filepath.Join(bs.dir, id)}
	if b.spec, err = spec.Read(file); err != nil {
		return nil, err
	}
	if b.spec.LinuxPart().CgroupsPath, err = bs.groupPath(b.spec.Linux.CgroupsPath, id); err != nil {
		return nil, err
	}
	return b, spawn.Check(b.spec)
}

// groupPath returns where the control group of a container lies. Systemd's own form is a place below its slice: the
// group is made there without asking systemd, which leaves groups that it did not make alone.
func (bs *Store) groupPath(path, id string) (string, error) {
	if path == "" {
		return "/" + id, nil
	}
	if !bs.systemd {
		return path, nil
	}
	parts := strings.Split(path, ":")
	if len(parts) != 3 || strings.Contains(path, "/") {
		return "", fmt.Errorf("linux.cgroupsPath %.80q: --systemd-cgroup wants slice:prefix:name", path)
	}
	slice, prefix, name := parts[0], parts[1], parts[2]
	if slice == "" {
		slice = "system.slice"
	}
	// a-b.slice lies in a.slice (systemd.slice(5)).
	dir, words := "", strings.Split(strings.TrimSuffix(slice, ".slice"), "-")
	for i := range words {
		if words[0] != "" {
			dir += "/" + strings.Join(words[:i+1], "-") + ".slice"
		}
	}
	if !strings.HasSuffix(name, ".slice") {
		name = strings.TrimPrefix(prefix+"-"+name, "-") + ".scope"
	}
	return dir + "/" + name, nil
}

// save writes the container down.
func (b *Container) save() error {
	var err error
	if b.Config, err = b.spec.Encode(); err != nil {
		return err
	}
	return state.WriteVolatile(filepath.Join(b.dir, bundleFile), b)
}

// group returns the container's control group.
func (b *Container) group() (*cgroup.Group, error) { return cgroup.Open(b.spec.Linux.CgroupsPath) }

// The states of a container beyond those of the specification.
const statusPaused specs.ContainerState = "paused"

// Status returns the state of the container in one word.
func (b *Container) Status() specs.ContainerState {
	if b.Init.PID == 0 {
		return specs.StateCreating
	}
	if b.life() == state.Dead {
		return specs.StateStopped
	}
	if _, err := os.Lstat(filepath.Join(b.dir, startFile)); err == nil {
		return specs.StateCreated
	}
	if group, err := b.group(); err == nil {
		if frozen, err := group.Frozen(); err == nil && frozen {
			return statusPaused
		}
	}
	return specs.StateRunning
}

// life tells whether the first process runs. No monitor stays with a bundle's container: where the pid does not tell,
// the control group does.
func (b *Container) life() state.Life { return b.Init.LifeIn(b.spec.Linux.CgroupsPath) }

// State returns the container's state (runtime-spec, runtime.md "State"), with what runc says beyond it.
func (b *Container) State() State {
	s := State{State: b.stateOf(b.Status(), b.Init.Number()), Rootfs: b.root(), Created: b.Created, Owner: "root"}
	if s.Status != specs.StateStopped {
		s.Pid = s.State.Pid
	}
	return s
}

// State is what `md-spawn state` and `list` show of a bundle's container.
type State struct {
	specs.State
	Pid     int       `json:"pid"` // there with every status: 0 where there is none
	Rootfs  string    `json:"rootfs"`
	Created time.Time `json:"created"`
	Owner   string    `json:"owner"`
}

func (b *Container) stateOf(status specs.ContainerState, pid int) specs.State {
	return specs.State{
		Version: specs.Version, ID: b.ID, Status: status, Pid: pid, Bundle: b.Path, Annotations: b.spec.Annotations,
	}
}

// hookState is the state as hooks get it.
func (b *Container) hookState(status specs.ContainerState, pid int) ([]byte, error) {
	return json.Marshal(b.stateOf(status, pid))
}

func (b *Container) root() string {
	if b.spec.Root == nil { // no document of ours: it must not take the others out of a list
		return ""
	}
	if filepath.IsAbs(b.spec.Root.Path) {
		return b.spec.Root.Path
	}
	return filepath.Join(b.Path, b.spec.Root.Path)
}
