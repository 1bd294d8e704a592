package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Acquire makes this process the owner of container id: the run file names it as the monitor. What is made for the
// container and recorded in no other file yet is lost with this process; after a SIGKILL [Dir.Abandoned] finds the
// container by its run file. A running container keeps its monitor as the owner. Acquire and [Dir.Release] take the
// container's lock, because what they read in the run file must stay true until they have acted.
func (d Dir) Acquire(id string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	unlock, err := d.Lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	err = d.AcquireLocked(id)
	if err != nil && !d.HasRunFile(id) && d.gone(id) {
		_ = os.RemoveAll(d.Runtime(id)) // made by Lock
	}
	return err
}

// AcquireLocked is [Dir.Acquire] for callers that have the container's lock.
func (d Dir) AcquireLocked(id string) error {
	run, err := d.ReadRun(id)
	if err == nil && run.Init.Life() != Dead || err != nil && d.Look(id).Program != Dead {
		return nil
	}
	self, err := FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return WriteOver(filepath.Join(d.Runtime(id), RunFile), func(path string) error {
		return WriteVolatile(path, Run{Monitor: self})
	})
}

// Release removes the runtime directory if the run file names only this process. The run file of another owner, or of a
// running container, stays. A directory without a run file and without a container was made by a cleanup check, and is
// removed too.
func (d Dir) Release(id string) {
	self, err := FindProcess(os.Getpid())
	if err != nil || CheckID(id) != nil {
		return
	}
	if _, err := os.Stat(d.Runtime(id)); err != nil {
		return
	}
	unlock, err := d.Lock(id)
	if err != nil {
		return
	}
	defer unlock()
	if run, err := d.ReadRun(id); err == nil && run == (Run{Monitor: self}) || !d.HasRunFile(id) && d.gone(id) {
		_ = os.RemoveAll(d.Runtime(id))
	}
}

// Abandoned returns the ids of the containers whose owner was killed while it made, ran or removed them. The caller
// must take the container's lock and check again before it acts.
func (d Dir) Abandoned() ([]string, error) {
	entries, err := os.ReadDir(d.Run)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	monitored, done := d.MonitorBytes()
	defer done()
	var ids []string
	for _, e := range entries {
		if id := e.Name(); IsID(id) && !monitored(id) && d.abandoned(id, monitored) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// HasRunFile reports whether container id has a run file, and so has or had an owner.
func (d Dir) HasRunFile(id string) bool {
	_, err := os.Stat(filepath.Join(d.Runtime(id), RunFile))
	return !errors.Is(err, fs.ErrNotExist)
}

func (d Dir) abandoned(id string, monitored func(string) bool) bool {
	if !d.HasRunFile(id) {
		if d.gone(id) {
			return true
		}
		// A stopped container has its lock file there, and perhaps a run file that its writer did not finish.
		_, err := os.Lstat(filepath.Join(d.Runtime(id), TempPrefix+RunFile))
		return err == nil
	}
	return !d.look(id, monitored).Owned()
}
