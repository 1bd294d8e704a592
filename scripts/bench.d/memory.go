package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// memoryRow compares the memory of the monitor of a detached container. Memory that processes share is divided
// among them (PSS, proc(5), smaps_rollup). Docker's daemons are a row of their own.
func memoryRow(h *host) ([]result, error) {
	if err := errors.Join(h.image(), h.docker(), h.podman()); err != nil {
		return nil, err
	}
	const many, some = 100, 20
	sides := []struct {
		process string
		n       int
		run     []string
		remove  []string
		target  float64
	}{
		{"md-spawn", many, ours("run", "-d", "--net", "none", "busybox", "sleep", "100000"), []string{"sh", "-c", "mydocker rm -f $(mydocker ps -q)"}, 0},
		{"conmon", many, podman("run", "-d", "--net", "none", "busybox", "sleep", "100000"), podman("rm", "-a", "-f", "-t", "0"), 1},
		{"containerd-shim", some, docker("run", "-d", "--net", "none", "busybox", "sleep", "100000"), []string{"sh", "-c", "docker rm -f $(docker ps -q)"}, 0.1},
	}
	var each []float64
	for _, s := range sides {
		for range s.n {
			if _, err := do(s.run...); err != nil {
				return nil, err
			}
		}
		total, count, err := pss(s.process)
		if err != nil {
			return nil, err
		}
		if count < s.n {
			return nil, fmt.Errorf("%d processes %s for %d containers", count, s.process, s.n)
		}
		each = append(each, total/float64(s.n))
		if _, err := do(s.remove...); err != nil {
			return nil, err
		}
	}
	var results []result
	for i, s := range sides[1:] {
		r := result{Work: "memory each", Peer: s.process, Unit: "MiB", Target: s.target}
		results = append(results, compare(r, each[:1], each[i+1:i+2]))
	}
	mib := result{Work: "memory each", Peer: "1 MiB", Unit: "MiB", Target: 1}
	results = append(results, compare(mib, each[:1], []float64{1}))
	daemons, _, err := pss("dockerd", "containerd")
	results = append(results, compare(result{Work: "memory of daemons", Peer: "dockerd, containerd", Unit: "MiB", Target: 0}, []float64{0}, []float64{daemons}))
	return results, err
}

// pss returns the total PSS in MiB and the number of processes with one of the names.
func pss(names ...string) (total float64, count int, err error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, 0, err
	}
	for _, dir := range dirs {
		comm, _ := os.ReadFile(dir + "/comm")
		name := strings.TrimSpace(string(comm))
		if !slices.ContainsFunc(names, func(n string) bool { return name == n || len(n) > 15 && name == n[:15] }) {
			continue
		}
		rollup, _ := os.ReadFile(dir + "/smaps_rollup") // empty if the process has exited
		for _, line := range strings.Split(string(rollup), "\n") {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
				kib, err := strconv.ParseFloat(fields[1], 64)
				if err != nil {
					return 0, 0, err
				}
				total += kib / 1024
				count++
			}
		}
	}
	return total, count, nil
}
