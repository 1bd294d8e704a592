package bundle

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// engine is a container engine: it has a bundle and calls the commands of an OCI runtime, as the parent of what they leave
// behind.
type engine struct {
	*Store
	t    *testing.T
	spec *spec.Spec
	dir  string // of the bundle
}

// newEngine makes a bundle with busybox that runs a shell script.
func newEngine(t *testing.T, script string) *engine {
	t.Helper()
	busybox := requireRoot(t)
	top := t.TempDir()
	must(t, os.Chmod(top, 0o755))
	e := &engine{Store: New(filepath.Join(top, "bundles"), false), t: t, spec: spec.New(state.NewID()), dir: filepath.Join(top, "bundle")}
	root := filepath.Join(e.dir, "rootfs")
	for _, name := range []string{"bin", "dev", "proc", "sys", "tmp"} {
		must(t, os.MkdirAll(filepath.Join(root, name), 0o755))
	}
	data, err := os.ReadFile(busybox)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(root, "bin", "busybox"), data, 0o755))
	for _, name := range []string{"sh", "true"} {
		must(t, os.Symlink("busybox", filepath.Join(root, "bin", name)))
	}
	e.spec.Root = &specs.Root{Path: root}
	e.spec.Process.Args = []string{"sh", "-c", script}
	e.spec.Process.Env = []string{"PATH=/bin"}
	e.spec.Linux.CgroupsPath = "/mydocker/" + e.spec.ID()
	return e
}

// requireRoot returns the path of busybox. It skips a test that cannot make containers here, and fails where it must.
func requireRoot(t *testing.T) string {
	t.Helper()
	skip := t.Skip
	if os.Getenv("MYDOCKER_MUST_RUN") != "" {
		skip = t.Fatal
	}
	if os.Getuid() != 0 {
		skip("containers need root")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		skip("the containers need busybox-static: ", err)
	}
	return busybox
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes the document into the bundle.
func (e *engine) write() {
	e.t.Helper()
	data, err := e.spec.Encode()
	must(e.t, err)
	must(e.t, os.WriteFile(filepath.Join(e.dir, "config.json"), data, 0o600))
}

// create creates the container, and deletes it when the test ends.
func (e *engine) create() *Container {
	e.t.Helper()
	e.write()
	must(e.t, e.Create(context.Background(), "box", e.dir, CreateFlags{ProcessFlags: e.flags()}))
	e.t.Cleanup(func() { _ = e.load().Delete(context.Background(), true) })
	return e.load()
}

// flags asks for the pid file.
func (e *engine) flags() ProcessFlags { return ProcessFlags{PidFile: e.pidFile()} }

func (e *engine) pidFile() string { return filepath.Join(e.dir, "pid") }

func (e *engine) load() *Container {
	e.t.Helper()
	b, err := e.Load("box")
	must(e.t, err)
	return b
}

// end reaps the process of the pid file, which is a child of the test, and returns its exit code.
func (e *engine) end() int {
	e.t.Helper()
	data, err := os.ReadFile(e.pidFile())
	must(e.t, err)
	pid, err := strconv.Atoi(string(data))
	must(e.t, err)
	linux.AwaitChild(pid) // a runtime that reaps it by mistake does so first
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		e.t.Fatalf("the runtime has reaped process %d: %v", pid, err)
	}
	return status.ExitStatus()
}

// The engine reaps the processes that its runtime leaves behind, and so learns of their ends, also of a program that ends
// before its runtime does: if the runtime reaped it, the engine would wait for it for ever.
func TestEndIsTheEngines(t *testing.T) {
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			e := newEngine(t, "exit 3")
			b := e.create()
			proc := *e.spec.Process
			proc.Args = []string{"sh", "-c", "exit 7"}
			_, err := b.Exec(context.Background(), &proc, ExecFlags{ProcessFlags: e.flags()}, true, spawn.Streams{})
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
			_, err = e.Run(context.Background(), "box", e.dir, CreateFlags{ProcessFlags: e.flags()}, RunOptions{Detach: true})
			must(t, err)
			if code := e.end(); code != 3 {
				t.Errorf("run --detach: code %d, want 3", code)
			}
		})
	}
}

// The runtime reaps a first process whose program does not start, and the engine does not learn of it.
func TestFailedStartIsReaped(t *testing.T) {
	e := newEngine(t, "true")
	e.spec.Process.Args = []string{"nothing"}
	e.write()
	err := e.Create(context.Background(), "box", e.dir, CreateFlags{ProcessFlags: e.flags()})
	if err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Fatalf("create: %v", err)
	}
	if pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid > 0 {
		t.Errorf("process %d is left to be reaped", pid)
	}
	if e.Has("box") {
		t.Error("the container is there")
	}
}
