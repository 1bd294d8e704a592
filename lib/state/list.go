package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// The states of a container (runtime-spec, runtime.md "State"; a stopped one is called exited here,
// as users of docker know it).
const (
	StatusPrepared = "prepared" // stages of the pipe have made it, and their document has not been run
	StatusCreated  = "created"
	StatusRunning  = "running"
	StatusRestart  = "restarting" // its program has ended, and its restart policy starts it again in a moment
	StatusExited   = "exited"
	StatusPaused   = "paused" // it is running, and stands still: whoever shows it asks the control group
)

// Statuses are all of them.
func Statuses() []string {
	return []string{StatusPrepared, StatusCreated, StatusRunning, StatusPaused, StatusRestart, StatusExited}
}

// Container is one row of the list: what the files say together, and what the kernel says of the
// process.
type Container struct {
	ID      string
	Spec    *spec.Spec
	Spawn   Spawn
	Run     Run
	Net     Net
	Running bool // or it cannot be told from here that it does not
	Created time.Time

	Monitored bool // a process waits for it, or it cannot be told that none does
	Prepared  bool // only so far: it has no document here ([Dir.Prepared])
}

// Status returns the state of the container in one word.
func (c *Container) Status() string {
	switch {
	case c.Prepared:
		return StatusPrepared
	case c.Running:
		return StatusRunning
	case c.Restarting():
		return StatusRestart
	case c.Spawn.Started.IsZero() && c.Run.Init.PID == 0:
		return StatusCreated
	}
	return StatusExited
}

// KilledCode is the exit code of a program whose end nobody saw: it was killed together with the process that waited
// for it. [Container.Spawn] has it before it is written down.
const KilledCode = 137

// Unseen reports whether the program has ended together with who waited for it, and nobody has written that down yet.
func (c *Container) Unseen() bool {
	return !c.Running && !c.Spawn.Started.IsZero() && c.Spawn.Finished.IsZero() && !c.Monitored
}

// Restarting reports whether the program has ended and a monitor is about to start it again.
func (c *Container) Restarting() bool {
	return !c.Running && !c.Run.Restart.IsZero() && c.Monitored
}

// Load reads all about container id. Only a missing or unreadable document is an error: the other
// files may be missing, and a torn one counts as missing.
func (d Dir) Load(id string) (*Container, error) {
	monitored, done := d.MonitorBytes()
	defer done()
	return d.load(id, readSpec, monitored)
}

func readSpec(path string) (*spec.Spec, error) {
	data, err := linux.ReadFile(path)
	if err == nil && len(bytes.TrimSpace(data)) == 0 {
		err = fmt.Errorf("read %s: it is empty", path)
	}
	if err != nil {
		return nil, err
	}
	return spec.Read(bytes.NewReader(data))
}

// glance reads of a document what [spec.Glance] shows: it mostly stands within the start.
func glance(path string) (*spec.Spec, error) {
	const start = 8 << 10
	data, _, err := linux.ReadStart(path, make([]byte, start))
	if err != nil {
		return nil, err
	}
	if s, ok := spec.Glance(data); ok {
		return s, nil
	}
	return readSpec(path)
}

func (d Dir) load(id string, read func(path string) (*spec.Spec, error), monitored func(string) bool) (*Container, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	c := &Container{ID: id}
	var err error
	if c.Spec, err = read(d.Config(id)); errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", id, err)
	}
	d.fill(c, monitored)
	return c, nil
}

// fill reads what stands beside the document.
func (d Dir) fill(c *Container, monitored func(string) bool) {
	id := c.ID
	c.Spawn, _ = d.ReadSpawn(id)
	c.Net, _ = d.ReadNet(id)
	look := d.look(id, monitored)
	c.Run, c.Running, c.Monitored = look.Run, look.Program != Dead, look.Monitor != Dead
	if c.Unseen() {
		if c.Spawn, _ = d.ReadSpawn(id); c.Unseen() { // else it was written down in between
			c.Spawn.ExitCode = KilledCode
		}
	}
	if c.Created = c.Spawn.Created; c.Created.IsZero() {
		c.Created, _ = linux.BirthTime(d.Bundle(id)) // not kept: no more is known, and soon nothing
	}
}

// IDs returns the ids of all containers, those included that are being made.
func (d Dir) IDs() ([]string, error) {
	entries, err := os.ReadDir(d.Containers())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if IsID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// List returns all containers, the newest first, with what [spec.Glance] shows of their documents. One that
// cannot be read does not hide the others: it is reported to bad and left out. Those that have no document
// yet are left out: a pipe that still runs makes them, or [Dir.Prepared] returns them.
func (d Dir) List(bad func(error)) ([]*Container, error) {
	list, _, err := d.list(bad)
	return list, err
}

// ListAll is [Dir.List] with those that are prepared.
func (d Dir) ListAll(bad func(error)) ([]*Container, error) {
	list, unknown, err := d.list(bad)
	for _, id := range unknown {
		if c, ok := d.Prepared(id); ok {
			list = append(list, c)
		}
	}
	newestFirst(list)
	return list, err
}

func newestFirst(list []*Container) {
	sort.SliceStable(list, func(i, j int) bool { return list[i].Created.After(list[j].Created) })
}

// list also returns the ids of those that have no document.
func (d Dir) list(bad func(error)) (list []*Container, unknown []string, err error) {
	ids, err := d.IDs()
	if err != nil {
		return nil, nil, err
	}
	found, errs := make([]*Container, len(ids)), make([]error, len(ids))
	monitored, done := d.MonitorBytes()
	defer done()
	Parallel(len(ids), func(i int) { found[i], errs[i] = d.load(ids[i], glance, monitored) })
	for i, c := range found {
		switch {
		case errs[i] == nil:
			list = append(list, c)
		case errors.Is(errs[i], ErrNotFound):
			unknown = append(unknown, ids[i])
		default:
			bad(errs[i])
		}
	}
	newestFirst(list)
	return list, unknown, nil
}

// Parallel does something for each index below n.
func Parallel(n int, do func(i int)) {
	var all sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), n)
	for first := range workers {
		all.Go(func() {
			for i := first; i < n; i += workers {
				do(i)
			}
		})
	}
	all.Wait()
}

// Resolve returns the id of the container that the user means: a full id, then a name, then the
// beginning of exactly one id.
func (d Dir) Resolve(arg string) (string, error) {
	notFound := fmt.Errorf("container %.80q: %w", arg, ErrNotFound)
	if arg == "" {
		return "", notFound
	}
	if IsID(arg) {
		if _, err := os.Stat(d.Bundle(arg)); err == nil {
			return arg, nil
		}
	}
	if nameForm.MatchString(arg) {
		if id := d.nameHolder(arg); IsID(id) {
			if _, err := os.Stat(d.Bundle(id)); err == nil {
				return id, nil
			}
		}
	}
	ids, err := d.IDs()
	if err != nil {
		return "", err
	}
	var match []string
	for _, id := range ids {
		if strings.HasPrefix(id, arg) {
			match = append(match, id)
		}
	}
	switch len(match) {
	case 0:
		return "", notFound
	case 1:
		return match[0], nil
	}
	return "", fmt.Errorf("container %s: more than one id starts so: %s", arg, strings.Join(match, " "))
}

// Find returns the state directory that the environment chooses, and the id of the container in it that
// the user means.
func Find(arg string) (Dir, string, error) {
	d, err := FromEnv()
	if err != nil {
		return d, "", err
	}
	id, err := d.Resolve(arg)
	return d, id, err
}

// gone reports whether there is no container id any more.
func (d Dir) gone(id string) bool {
	if !IsID(id) {
		return true
	}
	_, err := os.Stat(d.Bundle(id))
	return errors.Is(err, fs.ErrNotExist)
}

// OCIState returns the state of the container as hooks and other tools know it (runtime-spec,
// runtime.md "State").
func (c *Container) OCIState() ([]byte, error) {
	status := map[string]specs.ContainerState{
		StatusCreated: specs.StateCreated, StatusRunning: specs.StateRunning, StatusExited: specs.StateStopped,
		StatusRestart: specs.StateStopped,
	}[c.Status()]
	pid := 0
	if c.Running {
		pid = c.Run.Init.Number()
	}
	return c.Spec.State(status, pid)
}
