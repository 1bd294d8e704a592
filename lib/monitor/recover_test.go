package monitor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// newKept registers a container that is kept and does not run.
func newKept(t *testing.T) (*Runtime, string) {
	t.Helper()
	top := t.TempDir()
	r := New(state.Dir{Root: filepath.Join(top, "lib"), Run: filepath.Join(top, "run")})
	r.Release = func(context.Context, *spec.Spec) error { return nil }
	s := spec.New(state.NewID())
	data, err := s.Encode()
	must(t, err)
	must(t, state.WriteFile(r.dir.Config(s.ID()), data, 0o600))
	must(t, state.WriteJSON(r.spawnFile(s.ID()), state.Spawn{Created: time.Now(), Started: time.Now()}))
	return r, s.ID()
}

// TestRecoverDropsTemporaryFiles: Recover removes the temporary files of killed writers.
func TestRecoverDropsTemporaryFiles(t *testing.T) {
	r, id := newKept(t)
	must(t, state.WriteVolatile(r.runFile(id), state.Run{Monitor: state.Process{PID: 1, Start: 1, BootID: "another"}}))
	temps := []string{filepath.Join(r.dir.Bundle(id), state.TempPrefix+"123"), filepath.Join(r.dir.Runtime(id), state.TempPrefix+"x")}
	for _, path := range temps {
		must(t, os.WriteFile(path, []byte("{"), 0o600))
	}
	must(t, r.Recover(context.Background(), id))
	for _, path := range append(temps, r.runFile(id)) {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if life, err := r.dir.ReadSpawn(id); err != nil || life.ExitCode != state.KilledCode || life.Finished.IsZero() {
		t.Errorf("%+v, %v", life, err)
	}
}

// TestAStopIsNotOverwritten: a restart is recorded while a user stops the container.
func TestAStopIsNotOverwritten(t *testing.T) {
	r, id := newKept(t)
	unlock, err := r.dir.Lock(id) // as the user's command
	must(t, err)
	noted := make(chan error, 1)
	go func() { noted <- r.started(id, true) }()
	select {
	case err := <-noted:
		t.Fatalf("it is recorded without the lock: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	must(t, state.WriteJSON(r.spawnFile(id), state.Spawn{Created: time.Now(), Stopped: true}))
	unlock()
	must(t, <-noted)
	if life, err := r.dir.ReadSpawn(id); err != nil || !life.Stopped || life.Restarts != 1 {
		t.Errorf("%+v, %v", life, err)
	}
}
