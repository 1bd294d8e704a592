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

// Store holds the containers of other engines, made by the commands of an OCI runtime (runtime-spec, runtime.md) from
// bundles that the engine has prepared, under ids that it chose. No process of ours stays with them: the engine reaps their
// processes.
//
// State, below DIR/ID: bundle.json and, until the container is started, the FIFO start.
type Store struct {
	dir     string
	systemd bool

	// Warn reports what is no error but may surprise the user.
	Warn func(format string, args ...any)
}

// Dir is the default directory of a Store, below that of the runtime state.
const Dir = "bundles"

// New returns the containers below a directory. It makes nothing. systemd says that documents name control groups in the
// form of systemd, slice:prefix:name.
func New(dir string, systemd bool) *Store {
	return &Store{dir: dir, systemd: systemd, Warn: func(string, ...any) {}}
}

// Open returns the containers in the default directory of a state directory.
func Open(dir state.Dir) *Store { return New(filepath.Join(dir.Run, Dir), false) }

// ErrNotFound is returned for an id that no container has.
var ErrNotFound = fmt.Errorf("container does not exist: %w", fs.ErrNotExist)

// Container is one container of another engine.
type Container struct {
	ID      string          `json:"id"`
	Path    string          `json:"bundle"`
	Init    state.Process   `json:"init"`
	Created time.Time       `json:"created"`
	Mount   uint64          `json:"mount,omitempty"` // the mount that the root was in before the container mounted in our namespace
	Config  json.RawMessage `json:"config"`          // the document

	Damaged error `json:"-"` // why bundle.json cannot be read; nil if it can

	dir  string
	warn func(format string, args ...any)
	spec *spec.Spec
}

const (
	bundleFile = "bundle.json"
	startFile  = "start"
)

// checkID refuses ids that are not plain file names.
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
	b := &Container{dir: dir, warn: bs.Warn}
	if err == nil {
		err = b.decode(data, id)
	}
	if err != nil {
		return bs.loadDamaged(id, dir, fmt.Errorf("read %s: %w", bundleFile, err))
	}
	b.spec.LinuxPart()
	if b.Init.PID == 0 { // the container is being made, or its maker was killed
		b.Init = linkedProcess(dir)
	}
	return b, nil
}

// decode reads bundle.json.
func (b *Container) decode(data []byte, id string) (err error) {
	if err = json.Unmarshal(data, b); err != nil {
		return err
	}
	if b.ID != id {
		return fmt.Errorf("it is about container %.80q, not %s", b.ID, id)
	}
	b.spec, err = spec.Read(strings.NewReader(string(b.Config)))
	return err
}

// loadDamaged returns a container by its two links, which cannot be torn: enough to show, kill and delete it.
func (bs *Store) loadDamaged(id, dir string, why error) (*Container, error) {
	group, err := os.Readlink(filepath.Join(dir, groupLink))
	if err != nil {
		return nil, why
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	b := &Container{ID: id, Created: info.ModTime(), Init: linkedProcess(dir), Damaged: why, dir: dir, warn: bs.Warn, spec: spec.New("")}
	b.spec.Annotations, b.spec.Hooks = nil, nil
	part := b.spec.LinuxPart()
	part.CgroupsPath = group
	// With both namespaces, delete neither kills what else is in the group nor unmounts anything of the host.
	part.Namespaces = []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}}
	return b, nil
}

// Symbolic links whose targets are records: a link is never torn.
const (
	groupLink = "group" // the path of its control group
	firstLink = "first" // its first process
)

// link records in a link what is needed to end the container.
func (b *Container) link(name, text string) error {
	if err := os.Symlink(text, filepath.Join(b.dir, name)); err != nil {
		return fmt.Errorf("record container %s: %w", b.ID, err)
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

// Has reports whether a container with an id exists.
func (bs *Store) Has(id string) bool {
	if checkID(id) != nil {
		return false
	}
	_, err := os.Lstat(filepath.Join(bs.dir, id, bundleFile))
	return err == nil
}

// List returns all containers that can be read, sorted by id.
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
	b := &Container{ID: id, Path: path, Created: time.Now(), dir: filepath.Join(bs.dir, id), warn: bs.Warn}
	if b.spec, err = spec.Read(file); err != nil {
		return nil, err
	}
	if b.spec.LinuxPart().CgroupsPath, err = bs.groupPath(b.spec.Linux.CgroupsPath, id); err != nil {
		return nil, err
	}
	return b, spawn.Check(b.spec)
}

// groupPath returns the path of a container's control group. systemd's form names a place below a slice: the group is made
// there without asking systemd, which leaves groups that it did not make alone.
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
	// a-b.slice is in a.slice (systemd.slice(5)).
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

// save writes bundle.json.
func (b *Container) save() error {
	var err error
	if b.Config, err = b.spec.Encode(); err != nil {
		return err
	}
	return state.WriteVolatile(filepath.Join(b.dir, bundleFile), b)
}

// handle returns the handle on the container.
func (b *Container) handle() *spawn.Container {
	s := *b.spec
	s.Annotations = nil
	s.Annotate(spec.AnnotationID, b.ID)
	return &spawn.Container{ID: b.ID, Spec: &s, Init: b.Init, Ended: func() bool { return b.life() == state.Dead }}
}

// group returns the container's control group.
func (b *Container) group() (*cgroup.Group, error) { return cgroup.Open(b.spec.Linux.CgroupsPath) }

// statusPaused is runc's addition to the statuses of the specification.
const statusPaused specs.ContainerState = "paused"

// Status returns the container's status.
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
	if b.handle().Paused() {
		return statusPaused
	}
	return specs.StateRunning
}

// life returns whether the first process runs: by its pid, or by the control group if the pid does not tell.
func (b *Container) life() state.Life { return b.Init.LifeIn(b.spec.Linux.CgroupsPath) }

// State returns the container's state (runtime-spec, runtime.md "State"), with the fields that runc adds.
func (b *Container) State() State {
	s := State{State: b.stateOf(b.Status(), b.Init.Number()), Rootfs: b.root(), Created: b.Created, Owner: "root"}
	if s.Status != specs.StateStopped {
		s.Pid = s.State.Pid
	}
	return s
}

// State is what `md-spawn state` and `md-spawn list` print.
type State struct {
	specs.State
	Pid     int       `json:"pid"` // also when it is 0: there is no process
	Rootfs  string    `json:"rootfs"`
	Created time.Time `json:"created"`
	Owner   string    `json:"owner"`
}

func (b *Container) stateOf(status specs.ContainerState, pid int) specs.State {
	return specs.State{
		Version: specs.Version, ID: b.ID, Status: status, Pid: pid, Bundle: b.Path, Annotations: b.spec.Annotations,
	}
}

// hookState returns the state that hooks read.
func (b *Container) hookState(status specs.ContainerState, pid int) ([]byte, error) {
	return json.Marshal(b.stateOf(status, pid))
}

func (b *Container) root() string {
	if b.spec.Root == nil { // a damaged container
		return ""
	}
	if filepath.IsAbs(b.spec.Root.Path) {
		return b.spec.Root.Path
	}
	return filepath.Join(b.Path, b.spec.Root.Path)
}
