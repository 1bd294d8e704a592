package monitor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/weikeit/mydocker/lib/bundle"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
)

// engine is a caller with a bundle of its own: it has the containers of newBox, and an OCI runtime's commands.
type engine struct {
	*box
	bundles *bundle.Store
	dir     string // of the bundle
}

// newEngine makes a bundle whose program is a shell script.
func newEngine(t *testing.T, script string) *engine {
	t.Helper()
	e := &engine{box: newBox(t, script)}
	e.dir, e.bundles = filepath.Dir(e.root), bundle.New(filepath.Join(e.top, "bundles"), false)
	e.spec.Linux.CgroupsPath = "/mydocker/" + e.spec.ID()
	return e
}

// write writes the document into the bundle.
func (e *engine) write() {
	e.t.Helper()
	data, err := e.spec.Encode()
	must(e.t, err)
	must(e.t, os.WriteFile(filepath.Join(e.dir, "config.json"), data, 0o600))
}

// create creates the container, and deletes it when the test ends.
func (e *engine) create() *bundle.Container {
	e.t.Helper()
	e.write()
	must(e.t, e.bundles.Create(context.Background(), "box", e.dir, bundle.CreateFlags{ProcessFlags: bundle.ProcessFlags{PidFile: e.pidFile()}}))
	e.t.Cleanup(func() { _ = e.load().Delete(context.Background(), true) })
	return e.load()
}

func (e *engine) pidFile() string { return filepath.Join(e.top, "pid") }

func (e *engine) load() *bundle.Container {
	e.t.Helper()
	b, err := e.bundles.Load("box")
	must(e.t, err)
	return b
}

// end reaps the process of the pid file, which is a child of ours, and returns its exit code.
func (e *engine) end() int {
	e.t.Helper()
	pid, err := strconv.Atoi(e.file("pid"))
	must(e.t, err)
	linux.AwaitChild(pid) // so that whoever else would reap it has done it
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		e.t.Fatalf("somebody else has reaped process %d: %v", pid, err)
	}
	return spawn.ExitCode(status)
}

// An engine is the parent of whom its runtime leaves behind, and learns of the end by SIGCHLD. A program that has
// ended before its runtime has is no exception: reaped by the runtime, it would run for ever in the engine's books.
func TestEndIsTheEngines(t *testing.T) {
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			e := newEngine(t, "exit 3")
			b := e.create()
			proc := *e.spec.Process
			proc.Args = []string{"sh", "-c", "exit 7"}
			_, err := b.Exec(context.Background(), &proc, bundle.ExecFlags{ProcessFlags: bundle.ProcessFlags{PidFile: e.pidFile()}}, true, spawn.Streams{})
			must(t, err)
			if code := e.end(); code != 7 {
				t.Errorf("exec: code %d, want 7", code)
			}
			must(t, os.WriteFile(e.pidFile(), []byte(strconv.Itoa(b.PID())), 0o600))
			must(t, b.Start(context.Background()))
			if code := e.end(); code != 3 {
				t.Errorf("start: code %d, want 3", code)
			}
			must(t, b.Delete(context.Background(), false))
			must(t, os.Remove(e.pidFile()))
			_, err = e.bundles.Run(context.Background(), "box", e.dir, bundle.CreateFlags{ProcessFlags: bundle.ProcessFlags{PidFile: e.pidFile()}}, true, false, spawn.Streams{})
			must(t, err)
			if code := e.end(); code != 3 {
				t.Errorf("run --detach: code %d, want 3", code)
			}
		})
	}
}

// What does not come to run is the runtime's own to reap, and nobody else is told of it.
func TestEngineHearsNothingOfWhatDoesNotStart(t *testing.T) {
	e := newEngine(t, "true")
	e.spec.Process.Args = []string{"nothing"}
	e.write()
	err := e.bundles.Create(context.Background(), "box", e.dir, bundle.CreateFlags{ProcessFlags: bundle.ProcessFlags{PidFile: e.pidFile()}})
	if err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Fatalf("create: %v", err)
	}
	if pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid > 0 {
		t.Errorf("process %d is left to be reaped", pid)
	}
	if e.bundles.Has("box") {
		t.Error("the container is there")
	}
}
