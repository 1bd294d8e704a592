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

// The states of a container (runtime-spec, runtime.md "State"). As in docker, a stopped container is called exited.
const (
	StatusPrepared = "prepared" // stages of the pipe have made it; its document was not run yet
	StatusCreated  = "created"
	StatusRunning  = "running"
	StatusRestart  = "restarting" // its program has ended, and its restart policy will start it again
	StatusExited   = "exited"
	StatusPaused   = "paused" // running, but frozen; callers ask the cgroup
)

// Statuses returns all states.
func Statuses() []string {
	return []string{StatusPrepared, StatusCreated, StatusRunning, StatusPaused, StatusRestart, StatusExited}
}

// Container is one row of the list: the content of its files, and the state of its processes.
type Container struct {
	ID      string
	Spec    *spec.Spec
	Spawn   Spawn
	Run     Run
	Net     Net
	Running bool // PID 1 runs, or may run
	Created time.Time

	Monitored bool // a process waits for it, or may wait
	Prepared  bool // made by stages of the pipe only; it has no document here ([Dir.Prepared])
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

// KilledCode is the exit code of a program that was killed together with its monitor, so that no process saw its exit
// status. [Container.Spawn] has it before a record does.
const KilledCode = 137

// Unseen reports whether the program has ended together with its monitor and no record of that was written yet.
func (c *Container) Unseen() bool {
	return !c.Running && !c.Spawn.Started.IsZero() && c.Spawn.Finished.IsZero() && !c.Monitored
}

// Restarting reports whether the program has ended and a monitor is about to start it again.
func (c *Container) Restarting() bool {
	return !c.Running && !c.Run.Restart.IsZero() && c.Monitored
}

// Load reads everything about container id. Only a missing or unreadable document is an error; the other files may be
// missing, and a torn one counts as missing.
func (d Dir) Load(id string) (*Container, error) {
	monitored, done := d.MonitorBytes()
	defer done()
	return d.load(id, readSpec, monitored)
}

func readSpec(path string) (*spec.Spec, error) {
	data, err := linux.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fmt.Errorf("read %s: file is empty", path)
	}
	return spec.Read(bytes.NewReader(data))
}

// readGlance reads what [spec.Glance] shows of a document, which is mostly within its first 8 KiB.
func readGlance(path string) (*spec.Spec, error) {
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

// fill reads the records beside the document.
func (d Dir) fill(c *Container, monitored func(string) bool) {
	id := c.ID
	c.Spawn, _ = d.ReadSpawn(id)
	c.Net, _ = d.ReadNet(id)
	look := d.look(id, monitored)
	c.Run, c.Running, c.Monitored = look.Run, look.Program != Dead, look.Monitor != Dead
	if c.Unseen() {
		if c.Spawn, _ = d.ReadSpawn(id); c.Unseen() { // otherwise a record was just written
			c.Spawn.ExitCode = KilledCode
		}
	}
	if c.Created = c.Spawn.Created; c.Created.IsZero() {
		c.Created, _ = linux.BirthTime(d.Bundle(id)) // it is not kept: nothing else is known
	}
}

// IDs returns the ids of all containers, including those that are being made.
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

// List returns all containers, the newest first, with what [spec.Glance] shows of their documents. An unreadable
// container is reported to bad and left out. A container without a document is left out too: a pipe is making it, or
// [Dir.Prepared] returns it.
func (d Dir) List(bad func(error)) ([]*Container, error) {
	list, _, err := d.list(bad)
	return list, err
}

// ListAll is [Dir.List] with the prepared containers.
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

// list also returns the ids of the containers without a document.
func (d Dir) list(bad func(error)) (list []*Container, unknown []string, err error) {
	ids, err := d.IDs()
	if err != nil {
		return nil, nil, err
	}
	found, errs := make([]*Container, len(ids)), make([]error, len(ids))
	monitored, done := d.MonitorBytes()
	defer done()
	Parallel(len(ids), func(i int) { found[i], errs[i] = d.load(ids[i], readGlance, monitored) })
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

// Parallel calls do for each index below n, on as many goroutines as there are CPUs.
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

// Resolve returns the id of the container that the user named: by a full id, a name, or the beginning of exactly one
// id, in this order.
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
	return "", fmt.Errorf("container %s: ambiguous id: %s", arg, strings.Join(match, " "))
}

// Find returns the state directory that the environment selects, and the id of the container in it that the user named.
func Find(arg string) (Dir, string, error) {
	d, err := FromEnv()
	if err != nil {
		return d, "", err
	}
	id, err := d.Resolve(arg)
	return d, id, err
}

// gone reports whether container id does not exist.
func (d Dir) gone(id string) bool {
	if !IsID(id) {
		return true
	}
	_, err := os.Stat(d.Bundle(id))
	return errors.Is(err, fs.ErrNotExist)
}

// OCIState returns the state of the container for hooks and other tools (runtime-spec, runtime.md "State").
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
