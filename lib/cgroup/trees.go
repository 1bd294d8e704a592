package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/weikeit/mydocker/lib/linux"
)

// tree is one mounted hierarchy: with cgroup v1 there is one per controller or few, with v2 one for
// all, and a hybrid host has both kinds.
type tree struct {
	version     int      // 1 or 2
	mount       string   // where it is mounted: /sys/fs/cgroup/memory
	controllers []string // what it controls; none for v1's named hierarchies
}

// dir is the directory of the group at path.
func (t *tree) dir(path string) string { return filepath.Join(t.mount, path) }

func (t *tree) has(controller string) bool { return slices.Contains(t.controllers, controller) }

// trees are all hierarchies of the host, each once.
type trees []*tree

// find returns the hierarchy that a controller lives in, nil where it is not mounted.
func (ts trees) find(controller string) *tree {
	for _, t := range ts {
		if t.has(controller) {
			return t
		}
	}
	return nil
}

// unified returns the v2 hierarchy, nil where it is not mounted.
func (ts trees) unified() *tree {
	for _, t := range ts {
		if t.version == 2 {
			return t
		}
	}
	return nil
}

// hostTrees returns the hierarchies that this process sees. It looks once: the table of mounts has lines for each
// container that runs, and each is asked for its groups.
var hostTrees = sync.OnceValues(readTrees)

func readTrees() (trees, error) {
	all := hierarchies()
	mountinfo, err := linux.ReadUntil("/proc/self/mountinfo", func(data []byte) bool { return enoughMounts(data, all) })
	var ts trees
	if err == nil {
		ts, _, err = parseTrees(string(mountinfo))
	}
	if err != nil {
		return nil, fmt.Errorf("find the cgroup hierarchies: %w", err)
	}
	if len(ts) == 0 {
		return nil, errors.New("find the cgroup hierarchies: none is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup")
	}
	return ts, nil
}

// hierarchies returns the controllers of each hierarchy that there is, as proc_pid_cgroup(5) has them: "cpu,cpuacct",
// "name=systemd", and "" for v2. Some may be mounted nowhere, or not here.
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

// enoughMounts reports whether all hierarchies stand in this start of the mount table, each whole. Where containers
// have made it long, what is not where everybody mounts it is not looked for in their lines.
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
	return len(ts) == len(all) || !slices.ContainsFunc(all, func(words string) bool { return ts.missUsual(words) })
}

// missUsual reports whether a v1 hierarchy is mounted where it usually is, and not among these.
func (ts trees) missUsual(controllers string) bool {
	path := "/sys/fs/cgroup/" + controllers
	return controllers != "" && !strings.Contains(controllers, "=") &&
		!slices.ContainsFunc(ts, func(t *tree) bool { return t.mount == path }) && linux.IsMountPoint(path)
}

// parseTrees reads /proc/pid/mountinfo (proc_pid_mountinfo(5)). A hierarchy that is mounted more than once
// counts where it is mounted whole, as whole says by its device number, or else where it was mounted first.
func parseTrees(mountinfo string) (ts trees, whole map[string]bool, err error) {
	whole = make(map[string]bool)
	index := make(map[string]int)
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - cgroup") // quickly past the others: there may be many
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
		t := &tree{version: 1, mount: unescape(fields[4])}
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

// controllersOf picks the controllers out of a v1 hierarchy's mount options: "rw,cpu,cpuacct". What
// is no controller ("xattr", "name=systemd") is never asked for, so it does no harm here.
func controllersOf(options string) []string {
	var list []string
	for _, word := range strings.Split(options, ",") {
		if word != "rw" && word != "ro" && !strings.Contains(word, "=") {
			list = append(list, word)
		}
	}
	return list
}

// unescape turns mountinfo's \040 back into the byte that it stands for.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
