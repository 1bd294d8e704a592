package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Acquire notes that this process has container id in its hands: what is made for it and is in no other
// file yet is lost with this process. What a SIGKILL leaves is thereby found by the next one
// ([Dir.Abandoned]). A container that runs is in its monitor's hands already. It takes the container's
// lock, and so does LetGo: who sees that there is no note, or whose it is, must be right until it has acted.
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
		_ = os.RemoveAll(d.Runtime(id)) // the lock made it
	}
	return err
}

// AcquireLocked is [Dir.Acquire] for those who have the container's lock.
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

// Release takes this process's note away. That of another process, which took over meanwhile, stays, and
// so does that of a container that runs. Where there is no note, nor a container, the directory is of somebody who
// looked whether there was anything to clean up, and goes, too.
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

// Abandoned returns the ids of the containers that a process had in its hands when it was killed, be
// it while they were made, while they ran or while the last of them was removed. Whoever deals with one
// takes its lock, and looks again.
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

// HasRunFile reports whether a note says who has, or had, container id in its hands.
func (d Dir) HasRunFile(id string) bool {
	_, err := os.Stat(filepath.Join(d.Runtime(id), RunFile))
	return !errors.Is(err, fs.ErrNotExist)
}

func (d Dir) abandoned(id string, monitored func(string) bool) bool {
	if !d.HasRunFile(id) {
		if d.gone(id) {
			return true
		}
		// A container that has ended may have its lock there, and a note that its writer did not finish.
		_, err := os.Lstat(filepath.Join(d.Runtime(id), TempPrefix+RunFile))
		return err == nil
	}
	return !d.look(id, monitored).Owned()
}
