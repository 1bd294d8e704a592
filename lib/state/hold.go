package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Hold notes that this process has container id in its hands: what is made for it and is in no other
// file yet is lost with this process. What a SIGKILL leaves is thereby found by the next one
// ([Dir.Abandoned]). A container that runs is in its monitor's hands already.
func (d Dir) Hold(id string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	if run, err := d.ReadRun(id); err == nil && run.Init.Alive() {
		return nil
	}
	self, err := FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return WriteVolatile(filepath.Join(d.Runtime(id), RunFile), Run{Monitor: self})
}

// LetGo takes this process's note away. That of another process, which took over meanwhile, stays, and
// so does that of a container that runs.
func (d Dir) LetGo(id string) {
	self, err := FindProcess(os.Getpid())
	if err != nil {
		return
	}
	if run, err := d.ReadRun(id); err == nil && run == (Run{Monitor: self}) {
		_ = os.Remove(filepath.Join(d.Runtime(id), RunFile))
		_ = os.Remove(d.Runtime(id)) // stays where somebody else has something in it
	}
}

// Abandoned returns the ids of the containers that a process had in its hands when it was killed, be
// it while they were made or while they ran.
func (d Dir) Abandoned() ([]string, error) {
	entries, err := os.ReadDir(d.Run)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if !IsID(e.Name()) {
			continue
		}
		if _, err := os.Stat(filepath.Join(d.Runtime(e.Name()), RunFile)); err != nil {
			continue
		}
		run, err := d.ReadRun(e.Name())
		if err != nil || !run.Init.Alive() && !run.Monitor.Alive() {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}
