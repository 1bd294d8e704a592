package rootfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	specsgo "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// inNamespace marks the process that runs in its own mount namespace.
const inNamespace = "ROOTFS_TEST_NAMESPACE"

// TestMain runs the tests again in a new mount namespace, so that no mount can remain on the host. The whole process
// must be in it, since several threads mount.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 || os.Getenv(inNamespace) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // Go makes / private too
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rerun in a mount namespace:", err)
		os.Exit(1)
	}
}

// requireRoot skips a test that needs root, or fails it if MYDOCKER_MUST_RUN is set.
func requireRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("MYDOCKER_MUST_RUN") != "" {
		t.Fatal("mounts need root")
	}
	t.Skip("mounts need root")
}

// fixture is a state directory with a manager, and a fake md-rootfs in PATH.
type fixture struct {
	*Manager
	t        *testing.T
	warnings []string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	top := t.TempDir()
	tool := filepath.Join(top, "bin", "md-rootfs")
	mustWrite(t, tool, "#!/bin/sh\n", 0o755)
	t.Setenv("PATH", filepath.Dir(tool)+":"+os.Getenv("PATH"))
	h := &fixture{Manager: New(state.Dir{Root: filepath.Join(top, "lib"), Run: filepath.Join(top, "run")}), t: t}
	h.Warn = func(format string, args ...any) { h.warnings = append(h.warnings, fmt.Sprintf(format, args...)) }
	t.Cleanup(func() { // before TempDir's cleanup, which cannot remove mounts
		ids, _ := h.dir.IDs()
		for _, id := range ids {
			if err := h.Remove(context.Background(), id, true); err != nil {
				t.Errorf("clean up: %v", err)
			}
		}
	})
	return h
}

// layer fills the directory of a layer.
type layer func(t *testing.T, dir string)

// image writes an image to the store as a pull does, with unpacked layers, lowest first.
func (h *fixture) image(name string, config v1.ImageConfig, layers ...layer) {
	h.t.Helper()
	var diffs []digest.Digest
	chain := digest.Digest("")
	for i, fill := range layers {
		diff := digest.FromString(fmt.Sprint(name, i))
		diffs = append(diffs, diff)
		if chain == "" {
			chain = diff
		} else {
			chain = digest.FromString(chain.String() + " " + diff.String())
		}
		dir := filepath.Join(h.dir.Layers(), chain.Encoded())
		mustMkdir(h.t, filepath.Join(dir, "fs"), 0o755)
		fill(h.t, filepath.Join(dir, "fs"))
		mustWrite(h.t, filepath.Join(dir, "layer.json"), fmt.Sprintf(`{"chainID":%q,"diffID":%q}`, chain, diff), 0o600)
	}
	img := v1.Image{Config: config, RootFS: v1.RootFS{Type: "layers", DiffIDs: diffs}}
	manifest := v1.Manifest{Versioned: specsgo.Versioned{SchemaVersion: 2}, Config: h.blob(img)}
	entry := h.blob(manifest)
	entry.Annotations = map[string]string{v1.AnnotationRefName: name}
	index := v1.Index{Versioned: specsgo.Versioned{SchemaVersion: 2}, Manifests: []v1.Descriptor{entry}}
	data, err := json.Marshal(index)
	must(h.t, err)
	mustWrite(h.t, filepath.Join(h.dir.Images(), "index.json"), string(data), 0o600)
}

func (h *fixture) blob(v any) v1.Descriptor {
	h.t.Helper()
	data, err := json.Marshal(v)
	must(h.t, err)
	d := digest.FromBytes(data)
	mustWrite(h.t, filepath.Join(h.dir.Images(), "blobs", "sha256", d.Encoded()), string(data), 0o600)
	return v1.Descriptor{Digest: d, Size: int64(len(data))}
}

// mount mounts image "test:latest" and returns the document.
func (h *fixture) mount(o Options, args ...string) (*spec.Spec, error) {
	s := spec.New(state.NewID())
	return s, h.Mount(o, "test", args)(context.Background(), s)
}

func (h *fixture) mustMount(o Options, args ...string) *spec.Spec {
	h.t.Helper()
	s, err := h.mount(o, args...)
	must(h.t, err)
	return s
}

func (h *fixture) record(id string) Record {
	h.t.Helper()
	record, err := ReadRecord(h.dir, id)
	must(h.t, err)
	return record
}

// leaks returns the containers, names, volumes and mounts in the state directory.
func (h *fixture) leaks() []string {
	h.t.Helper()
	var found []string
	for _, dir := range []string{h.dir.Containers(), h.dir.Names(), h.dir.Volumes()} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(h.t, err)
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, h.dir.Root) {
			found = append(found, line)
		}
	}
	return found
}

// files returns a layer with the files in tree, path to content. A path with a trailing slash is a directory.
func files(tree map[string]string) layer {
	return func(t *testing.T, dir string) {
		t.Helper()
		for path, content := range tree {
			if strings.HasSuffix(path, "/") {
				mustMkdir(t, filepath.Join(dir, path), 0o755)
				continue
			}
			mustWrite(t, filepath.Join(dir, path), content, 0o644)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustMkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	must(t, os.MkdirAll(path, mode))
}

func mustWrite(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	mustMkdir(t, filepath.Dir(path), 0o755)
	must(t, os.WriteFile(path, []byte(content), mode))
}

// read returns the content of a file, or the text of the error.
func read(path ...string) string {
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		return err.Error()
	}
	return string(data)
}
