package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spawn"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// foregroundArg makes this test program, as md-spawn, run the document in a file in the foreground, as md-spawn run
// does.
const foregroundArg = "foreground"

// TestMain makes the test program act as md-spawn if that is its name: the PATH has such a link.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "md-spawn" {
		os.Exit(mdSpawn(os.Args[1], os.Args[2:]))
	}
	os.Exit(withPath(m.Run))
}

func withPath(run func() int) int {
	bin, err := os.MkdirTemp("", "spawn-test-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	self, err := os.Executable()
	for tool, target := range map[string]string{
		"md-spawn": self, "md-rootfs": "/bin/true", "md-cgroup": "/bin/true", "md-net": "/bin/true",
	} {
		err = errors.Join(err, os.Symlink(target, filepath.Join(bin, tool)))
	}
	if err = errors.Join(err, os.Setenv("PATH", bin+":"+os.Getenv("PATH"))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

func mdSpawn(word string, args []string) int {
	switch word {
	case spawn.ReapArg:
		return spawn.Reap(args)
	}
	dir, err := state.FromEnv()
	if err != nil {
		return 99
	}
	if word == MonitorArg {
		return New(dir).Monitor(context.Background(), args)
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return 99
	}
	s, err := spec.Read(bytes.NewReader(data))
	if err != nil {
		return 99
	}
	code, err := New(dir).Run(context.Background(), s, Options{
		Keep: len(args) > 1, Streams: spawn.Streams{Out: os.Stdout, Err: os.Stderr},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	return code
}

// requireRoot skips a test that cannot make containers here, and fails where it must.
func requireRoot(t *testing.T) {
	t.Helper()
	skip := t.Skip
	if os.Getenv("MYDOCKER_MUST_RUN") != "" {
		skip = t.Fatal
	}
	if os.Getuid() != 0 {
		skip("containers need root")
	}
	if _, err := exec.LookPath("busybox"); err != nil {
		skip("the container's programs are those of busybox-static: ", err)
	}
}

// box is a container to run: a root with busybox and a document, in state directories of its own.
type box struct {
	*Runtime
	t    *testing.T
	spec *spec.Spec
	top  string // the directory that holds all of it
	root string
}

// newBox makes a container that runs the shell script. At the end of the test, it checks that nothing is left.
func newBox(t *testing.T, script string) *box {
	t.Helper()
	requireRoot(t)
	top := t.TempDir()
	must(t, os.Chmod(top, 0o755))
	dir := state.Dir{Root: filepath.Join(top, "lib"), Run: filepath.Join(top, "run")}
	b := &box{Runtime: New(dir), t: t, top: top, root: filepath.Join(top, "bundle", "rootfs"), spec: spec.New(state.NewID())}
	for _, name := range []string{"bin", "dev", "etc", "proc", "sys", "tmp", "run"} {
		must(t, os.MkdirAll(filepath.Join(b.root, name), 0o755))
	}
	busybox, err := exec.LookPath("busybox")
	must(t, err)
	data, err := os.ReadFile(busybox)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(b.root, "bin", "busybox"), data, 0o755))
	b.applets("cat chmod dd echo env false grep hostname id ip kill ls mkdir mount mv readlink rm sh sleep stat stty test touch true tty wc")
	b.spec.Root = &specs.Root{Path: b.root}
	b.spec.Process.Args = []string{"sh", "-c", script}
	b.spec.Process.Env = []string{"PATH=/usr/bin:/bin", "BOX=" + b.spec.ID()}
	t.Cleanup(b.leftNothing)
	return b
}

// applets makes links to busybox in the container.
func (b *box) applets(names string) {
	b.t.Helper()
	for _, name := range strings.Fields(names) {
		must(b.t, os.Symlink("busybox", filepath.Join(b.root, "bin", name)))
	}
}

// result is the result of a run.
type result struct {
	code     int
	out, err string
	failure  error
}

func (r result) String() string {
	return fmt.Sprintf("code %d, out %q, err %q, %v", r.code, r.out, r.err, r.failure)
}

// run runs the container in the foreground.
func (b *box) run() result { return b.runWith(Options{}) }

func (b *box) runWith(o Options) result {
	b.t.Helper()
	var out, errOut bytes.Buffer
	o.Streams.Out, o.Streams.Err = &out, &errOut
	code, err := b.Run(context.Background(), b.spec, o)
	return result{code, out.String(), errOut.String(), err}
}

// detached starts the container in the background and loads it.
func (b *box) detached(o Options) *state.Container {
	b.t.Helper()
	o.Detach = true
	_, err := b.Run(context.Background(), b.spec, o)
	must(b.t, err)
	return b.load()
}

func (b *box) load() *state.Container {
	b.t.Helper()
	c, err := b.dir.Load(b.spec.ID())
	must(b.t, err)
	return c
}

// exec runs a script beside the container's program.
func (b *box) exec(c *state.Container, script string) result {
	b.t.Helper()
	proc := *b.spec.Process
	proc.Args, proc.Terminal = []string{"sh", "-c", script}, false
	var out, errOut bytes.Buffer
	code, err := b.Exec(context.Background(), c, &proc, Options{Streams: spawn.Streams{Out: &out, Err: &errOut}})
	return result{code, out.String(), errOut.String(), err}
}

// foreground starts another process that runs the container in its foreground.
func (b *box) foreground(args ...string) *exec.Cmd {
	b.t.Helper()
	data, err := b.spec.Encode()
	must(b.t, err)
	file := filepath.Join(b.top, "config.json")
	must(b.t, os.WriteFile(file, data, 0o600))
	cmd := exec.Command("md-spawn", append([]string{foregroundArg, file}, args...)...)
	cmd.Env = append(os.Environ(), b.dir.Env()...)
	cmd.Stderr = os.Stderr
	must(b.t, cmd.Start())
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill() // normally, it has ended
		_ = cmd.Wait()
	})
	return cmd
}

// remove removes a container.
func (b *box) remove(c *state.Container) {
	b.t.Helper()
	must(b.t, b.Delete(context.Background(), c, true, func() error { return nil }))
}

// file returns the content of a file below the top directory, or its error.
func (b *box) file(name string) string {
	data, err := os.ReadFile(filepath.Join(b.top, name))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// script makes an executable shell script below the top directory and returns its path.
func (b *box) script(name, body string) string {
	b.t.Helper()
	path := filepath.Join(b.top, name)
	must(b.t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	return path
}

// leftNothing checks that no mounts, processes, groups and files of the container are left.
func (b *box) leftNothing() {
	b.t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(b.t, err)
	if strings.Contains(string(mounts), b.top) {
		b.t.Errorf("mounts are left:\n%s", mounts)
	}
	eventually(b.t, "its processes are gone", func() bool { return len(b.processes()) == 0 })
	for _, pid := range b.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*", "/sys/fs/cgroup"} {
		if left, _ := filepath.Glob(pattern + "/mydocker*/*" + b.spec.ID() + "*"); left != nil {
			b.t.Errorf("left: %v", left)
		}
	}
	for _, dir := range []string{b.dir.Containers(), b.dir.Run, filepath.Join(b.dir.Run, "netns")} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.Name() != "locks" {
				b.t.Errorf("left: %s/%s", dir, e.Name())
			}
		}
	}
}

// processes returns the pids of the container's programs and of its monitors.
func (b *box) processes() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
		data, err := os.ReadFile(file)
		if err == nil && pid != os.Getpid() && (bytes.Contains(data, []byte("BOX="+b.spec.ID())) || bytes.Contains(data, []byte(b.top))) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 10 s: %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pairs parses lines of the form name=value.
func pairs(text string) map[string]string {
	found := make(map[string]string)
	for _, line := range strings.Split(text, "\n") {
		name, value, _ := strings.Cut(line, "=")
		found[name] = value
	}
	return found
}
