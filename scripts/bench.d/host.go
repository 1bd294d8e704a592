package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// host is the test host of the benchmark. It sets up what a row needs on first use.
type host struct {
	pairs   int // runs of each side; 0 is the row's default
	curve   []point
	made    map[string]bool
	daemons []*exec.Cmd
}

// dockerPath is Debian's docker, whatever else is on the PATH.
const dockerPath = "/usr/bin/docker"

var podmanArgv = []string{"podman", "--cgroup-manager=cgroupfs", "--events-backend=file"}

func docker(args ...string) []string { return append([]string{dockerPath}, args...) }
func podman(args ...string) []string { return append(slices.Clone(podmanArgv), args...) }
func ours(args ...string) []string   { return append([]string{"mydocker"}, args...) }

// once calls make on the first call with a name.
func (h *host) once(name string, make func() error) error {
	if h.made[name] {
		return nil
	}
	if err := make(); err != nil {
		return fmt.Errorf("prepare %s: %w", name, err)
	}
	if h.made == nil {
		h.made = map[string]bool{}
	}
	h.made[name] = true
	return nil
}

// image pulls the image and runs a first container, which creates the default network.
func (h *host) image() error {
	return h.once("the image", func() error {
		if _, err := do("mydocker", "pull", "-q", "busybox"); err != nil {
			return err
		}
		_, err := do("mydocker", "run", "--rm", "busybox", "true")
		return err
	})
}

func (h *host) podman() error {
	return h.once("podman", func() error {
		_, err := do(podman("pull", "-q", "docker.io/library/busybox")...)
		return err
	})
}

// docker starts a dockerd with containerd, with their data in the test host's directories.
func (h *host) docker() error {
	return h.once("docker", func() error {
		cmd := exec.Command("/usr/sbin/dockerd")
		log, err := os.Create("/tmp/dockerd.log")
		if err != nil {
			return err
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			return err
		}
		h.daemons = append(h.daemons, cmd)
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if _, err = do(docker("version")...); err == nil {
				break
			}
			if time.Now().After(end) {
				return err
			}
		}
		name := os.Getenv("TESTBED_REGISTRY") + "/library/busybox"
		if _, err := do(docker("pull", "-q", name)...); err != nil {
			return err
		}
		_, err = do(docker("tag", name, "busybox")...)
		return err
	})
}

// close ends the daemons.
func (h *host) close() {
	for _, cmd := range h.daemons {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
}

const bundleDir = "/var/lib/bench-bundle"

// bundle creates a bundle for any OCI runtime: mydocker's document without its extensions, and a copy of
// the image's files. It runs program.
func (h *host) bundle(name string, program ...string) (dir string, err error) {
	dir = filepath.Join(bundleDir, name)
	return dir, h.once("bundle "+name, func() error {
		if err := h.image(); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		argv := append([]string{"mydocker", "run", "--net", "none", "--print=spec", "busybox"}, program...)
		document, err := do(argv...)
		if err != nil {
			return err
		}
		layers, err := filepath.Glob("/var/lib/mydocker/layers/*/fs")
		if err != nil || len(layers) != 1 {
			return errors.Join(err, fmt.Errorf("want one layer, have %q", layers))
		}
		if _, err := do("cp", "-a", layers[0], dir+"/rootfs"); err != nil {
			return err
		}
		data, err := plainDocument([]byte(document), dir)
		if err != nil {
			return err
		}
		return os.WriteFile(dir+"/config.json", data, 0o644)
	})
}

// plainDocument removes what belongs to a mydocker container: hooks, cgroup, annotations, the bind mounts
// over /etc and the path of the network namespace.
func plainDocument(data []byte, dir string) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	delete(doc, "hooks")
	delete(doc, "annotations")
	doc["root"] = map[string]any{"path": dir + "/rootfs"}
	doc["mounts"] = slices.DeleteFunc(doc["mounts"].([]any), func(m any) bool {
		return strings.HasPrefix(m.(map[string]any)["destination"].(string), "/etc/")
	})
	linux := doc["linux"].(map[string]any)
	delete(linux, "cgroupsPath")
	for _, ns := range linux["namespaces"].([]any) {
		delete(ns.(map[string]any), "path")
	}
	return json.MarshalIndent(doc, "", "  ")
}
