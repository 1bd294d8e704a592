package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// row is one row of the table.
type row struct {
	name    string
	what    string
	measure func(*host) ([]result, error)
}

var rows = []row{
	{"spawn", "md-spawn run of a bundle, the same for all", spawnRow},
	{"none", "mydocker run --rm --net none busybox true", noneRow},
	{"bridge", "mydocker run --rm busybox true, with bridge and address", bridgeRow},
	{"port", "mydocker run --rm -p 8080:80 busybox true", portRow},
	{"pipe", "the pipe of four tools, against mydocker run", pipeRow},
	{"exec", "mydocker exec C true", execRow},
	{"pull", "pull and unpack mysql:5.7.25 from a registry on loopback", pullRow},
	{"memory", "memory per detached container", memoryRow},
	{"scale", "start, exec, stop, rm and ps beside 1, 100 and 500 containers", scaleRow},
	{"wire", "iperf3 through a port published on 127.0.0.1, and to the bridge", wireRow},
}

func spawnRow(h *host) ([]result, error) {
	dir, err := h.bundle("true", "true")
	if err != nil {
		return nil, err
	}
	return h.race("md-spawn run", 60,
		side{name: "md-spawn", argv: []string{"md-spawn", "run", "--bundle", dir}},
		side{name: "crun", argv: []string{"crun", "run", "-b", dir, "bench-crun"}, target: 0.9},
		side{name: "runc", argv: []string{"runc", "run", "-b", dir, "bench-runc"}, target: 0.3})
}

func noneRow(h *host) ([]result, error) {
	dir, err := h.bundle("true", "true")
	if err = errors.Join(err, h.docker(), h.podman()); err != nil {
		return nil, err
	}
	return h.race("run --net none", 40,
		side{name: "mydocker", argv: ours("run", "--rm", "--net", "none", "busybox", "true")},
		side{name: "crun", argv: []string{"crun", "run", "-b", dir, "bench-crun"}, target: 1.2},
		side{name: "podman", argv: podman("run", "--rm", "--net", "none", "busybox", "true"), target: 1. / 15},
		side{name: "docker", argv: docker("run", "--rm", "--net", "none", "busybox", "true"), target: 1. / 25})
}

func bridgeRow(h *host) ([]result, error) {
	if err := errors.Join(h.image(), h.docker(), h.podman()); err != nil {
		return nil, err
	}
	return h.race("run, bridge", 20,
		side{name: "mydocker", argv: ours("run", "--rm", "busybox", "true")},
		side{name: "podman", argv: podman("run", "--rm", "busybox", "true"), target: 1. / 30},
		side{name: "docker", argv: docker("run", "--rm", "busybox", "true"), target: 1. / 30})
}

func portRow(h *host) ([]result, error) {
	if err := errors.Join(h.image(), h.docker(), h.podman()); err != nil {
		return nil, err
	}
	return h.race("run -p", 20,
		side{name: "mydocker", argv: ours("run", "--rm", "-p", "8080:80", "busybox", "true")},
		side{name: "podman", argv: podman("run", "--rm", "-p", "8080:80", "busybox", "true"), target: 1. / 20},
		side{name: "docker", argv: docker("run", "--rm", "-p", "8080:80", "busybox", "true"), target: 1. / 20})
}

// pipeRow starts both sides from sh, dash on Debian.
func pipeRow(h *host) ([]result, error) {
	if err := h.image(); err != nil {
		return nil, err
	}
	return h.race("pipe of four", 40,
		side{name: "pipe", argv: []string{"sh", "-c", "md-rootfs mount busybox true | md-cgroup create | md-net attach | md-spawn run"}},
		side{name: "mydocker run", argv: []string{"sh", "-c", "mydocker run --rm busybox true; exit $?"}, target: 2})
}

func execRow(h *host) ([]result, error) {
	dir, err := h.bundle("sleep", "sleep", "100000")
	if err = errors.Join(err, h.docker(), h.podman()); err != nil {
		return nil, err
	}
	for _, argv := range [][]string{
		ours("run", "-d", "--name", "bench", "busybox", "sleep", "100000"),
		podman("run", "-d", "--name", "bench", "busybox", "sleep", "100000"),
		docker("run", "-d", "--name", "bench", "busybox", "sleep", "100000"),
		{"sh", "-c", "crun run -d -b " + dir + " bench </dev/null >/dev/null 2>&1"},
	} {
		if _, err := do(argv...); err != nil {
			return nil, err
		}
	}
	results, err := h.race("exec", 40,
		side{name: "mydocker", argv: ours("exec", "bench", "true")},
		side{name: "crun", argv: []string{"crun", "exec", "bench", "true"}, target: 1.2},
		side{name: "docker", argv: docker("exec", "bench", "true"), target: 0.1},
		side{name: "podman", argv: podman("exec", "bench", "true"), target: 0.1})
	for _, argv := range [][]string{
		ours("rm", "-f", "bench"), podman("rm", "-f", "-t", "0", "bench"), docker("rm", "-f", "bench"), {"crun", "delete", "-f", "bench"},
	} {
		_, rmErr := do(argv...)
		err = errors.Join(err, rmErr)
	}
	return results, err
}

// pullRow pulls the largest image of the test bed. It removes the image before each turn, which is not
// timed. The plain peers fetch and unpack the layers with curl, gzip and tar, without digests or whiteouts.
func pullRow(h *host) ([]result, error) {
	if err := errors.Join(h.docker(), h.podman()); err != nil {
		return nil, err
	}
	registry := os.Getenv("TESTBED_REGISTRY")
	name := registry + "/library/mysql:5.7.25"
	layers, err := do("sh", "-c", fmt.Sprintf(
		"curl -sf -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' http://%s/v2/library/mysql/manifests/5.7.25 | jq -r '.layers[].digest'", registry))
	if err != nil {
		return nil, err
	}
	fetch := fmt.Sprintf("for d in $(echo %q); do curl -sf http://%s/v2/library/mysql/blobs/$d", layers, registry)
	plain := filepath.Join(bundleDir, "plain")
	sides := []side{
		{name: "mydocker", argv: ours("pull", "-q", "mysql:5.7.25")},
		{name: "curl|gzip|tar", argv: []string{"sh", "-ec", "mkdir -p " + plain + "; " + fetch + " | gzip -dc | tar -x -C " + plain + "; done"}, target: 0.5},
		{name: "gzip -dc", argv: []string{"sh", "-ec", fetch + " | gzip -dc >/dev/null; done"}, target: 1},
		{name: "podman", argv: podman("pull", "-q", "docker.io/library/mysql:5.7.25"), target: 1},
		{name: "docker", argv: docker("pull", "-q", name), target: 0.35},
	}
	n := 5
	if h.pairs > 0 {
		n = h.pairs
	}
	samples := make([][]float64, len(sides))
	for turn := range n {
		for k := range sides {
			i := (k + turn) % len(sides)
			_, _ = do("mydocker", "rmi", "mysql:5.7.25")
			_, _ = do(docker("rmi", "-f", name)...)
			_, _ = do(podman("rmi", "-f", "docker.io/library/mysql:5.7.25")...)
			if _, err := do("rm", "-rf", plain); err != nil {
				return nil, err
			}
			_, _ = do("sync")
			ms, err := timed(sides[i].argv)
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], ms)
		}
	}
	var results []result
	for i, s := range sides[1:] {
		r := result{Work: "pull", Peer: s.name, Unit: "ms", Target: s.target}
		results = append(results, compare(r, samples[0], samples[i+1]))
	}
	return results, nil
}
