package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/weikeit/mydocker/lib/linux"
)

// tree is a mounted cgroup hierarchy. On v1 each controller, or a few of them, have one; v2 has one
// for all. A hybrid host has both.
type tree struct {
	version     int      // 1 or 2
	mount       string   // mount point: /sys/fs/cgroup/memory
	controllers []string // none for v1's named hierarchies
}

// dir returns the directory of the cgroup at path.
func (t *tree) dir(path string) string { return filepath.Join(t.mount, path) }

func (t *tree) has(controller string) bool { return slices.Contains(t.controllers, controller) }

// trees are all mounted hierarchies of the host, each once.
type trees []*tree

// find returns the hierarchy of a controller, nil if it is not mounted.
func (ts trees) find(controller string) *tree {
	for _, t := range ts {
		if t.has(controller) {
			return t
		}
	}
	return nil
}

// unified returns the v2 hierarchy, nil if it is not mounted.
func (ts trees) unified() *tree {
	for _, t := range ts {
		if t.version == 2 {
			return t
		}
	}
	return nil
}

// hostTrees returns the hierarchies that are mounted in this process's namespace. It reads the mount table once: the
// table grows with every running container, and callers open a cgroup for each.
var hostTrees = sync.OnceValues(readTrees)

func readTrees() (trees, error) {
	all := hierarchies()
	mountinfo, err := linux.ReadUntil("/proc/self/mountinfo", func(data []byte) bool { return enoughMounts(data, all) })
	var ts trees
	if err == nil {
		ts, _, err = parseTrees(string(mountinfo))
	}
	if err != nil {
		return nil, fmt.Errorf("find cgroup hierarchies: %w", err)
	}
	if len(ts) == 0 {
		return nil, errors.New("find cgroup hierarchies: none is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup")
	}
	return ts, nil
}

// hierarchies returns the controllers of each hierarchy in the format of proc_pid_cgroup(5): "cpu,cpuacct",
// "name=systemd", and "" for v2. Some may not be mounted.
func hierarchies() []string {
	data, err := linux.ReadRecord("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		if parts := strings.SplitN(line, ":", 3); len(parts) == 3 {
			all = append(all, parts[1])
		}
	}
	return all
}

// enoughMounts reports whether this start of the mount table has all hierarchies with their roots. If it is already
// long, it need not have a hierarchy that is not mounted at the usual path: the rest are the mounts of containers.
func enoughMounts(mountinfo []byte, all []string) bool {
	const long = 64 << 10
	found := bytes.Count(mountinfo, []byte(" - cgroup"))
	if found < len(all) && len(mountinfo) < long || found == 0 || len(all) == 0 {
		return false
	}
	ts, whole, err := parseTrees(string(mountinfo[:bytes.LastIndexByte(mountinfo, '\n')+1]))
	if err != nil || slices.Contains(slices.Collect(maps.Values(whole)), false) {
		return false
	}
	return len(ts) == len(all) || !slices.ContainsFunc(all, func(words string) bool { return ts.missesUsualMount(words) })
}

// missesUsualMount reports whether a v1 hierarchy is mounted at its usual path but not among ts.
func (ts trees) missesUsualMount(controllers string) bool {
	path := "/sys/fs/cgroup/" + controllers
	return controllers != "" && !strings.Contains(controllers, "=") &&
		!slices.ContainsFunc(ts, func(t *tree) bool { return t.mount == path }) && linux.IsMountPoint(path)
}

// parseTrees parses /proc/pid/mountinfo (proc_pid_mountinfo(5)). If a hierarchy is mounted more than once, it
// returns the mount of its root, or else the first one. whole reports by device number whether it is the root.
func parseTrees(mountinfo string) (ts trees, whole map[string]bool, err error) {
	whole = make(map[string]bool)
	index := make(map[string]int)
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - cgroup") // a cheap test first: there may be many lines
		if !ok {
			continue
		}
		fields, super := strings.Fields(before), strings.Fields("cgroup"+after)
		if len(fields) < 6 || len(super) < 3 || (super[0] != "cgroup" && super[0] != "cgroup2") {
			continue
		}
		device, isWhole := fields[2], fields[3] == "/"
		at, seen := index[device]
		if seen && (whole[device] || !isWhole) {
			continue
		}
		t := &tree{version: 1, mount: linux.UnescapeMount(fields[4])}
		if super[0] == "cgroup" {
			t.controllers = controllersOf(super[2])
		} else {
			t.version = 2
			available, err := readWord(filepath.Join(t.mount, "cgroup.controllers"))
			if err != nil {
				return nil, nil, err
			}
			t.controllers = strings.Fields(available)
		}
		if !seen {
			at = len(ts)
			ts = append(ts, nil)
		}
		ts[at], index[device], whole[device] = t, at, isWhole
	}
	return ts, whole, nil
}

// controllersOf returns the controllers among a v1 hierarchy's mount options: "rw,cpu,cpuacct". It may
// return other options too, such as "xattr": they are never looked up.
func controllersOf(options string) []string {
	var list []string
	for _, word := range strings.Split(options, ",") {
		if word != "rw" && word != "ro" && !strings.Contains(word, "=") {
			list = append(list, word)
		}
	}
	return list
}
