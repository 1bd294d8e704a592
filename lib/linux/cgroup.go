package linux

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Occupancy is what the mounted cgroup hierarchies show of one cgroup.
type Occupancy struct {
	Seen     bool // a hierarchy is mounted as a whole
	There    bool // the cgroup exists in a hierarchy
	Occupied bool // it or a cgroup below it has a process
	Certain  bool // a file that counts the processes of all pid namespaces says so
}

// CgroupOccupancy reads the cgroup at path in all mounted hierarchies. Lists of processes are not enough: those of v1
// leave out processes outside the reader's pid namespace.
func CgroupOccupancy(path string) Occupancy {
	var o Occupancy
	counted, told := false, false // v1 also counts zombies
	for _, h := range hierarchies() {
		o.Seen = true
		dir := filepath.Join(h.mount, path)
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		o.There = true
		if h.unified {
			if events, err := ReadRecord(filepath.Join(dir, "cgroup.events")); err == nil {
				told, o.Occupied = true, o.Occupied || bytes.Contains(events, []byte("populated 1"))
			}
		}
		if count, err := ReadRecord(filepath.Join(dir, "pids.current")); err == nil {
			o.Certain, counted = true, string(bytes.TrimSpace(count)) != "0"
		}
		o.Occupied = o.Occupied || anyProcess(dir)
	}
	o.Certain, o.Occupied = o.Certain || told, o.Occupied || counted && !told
	return o
}

// CgroupProcesses returns the pids, in this pid namespace, of the processes in a cgroup and below it.
func CgroupProcesses(path string) []int {
	var pids []int
	for _, h := range hierarchies() {
		eachCgroup(filepath.Join(h.mount, path), func(procs []byte) bool {
			for word := range bytes.FieldsSeq(procs) {
				if pid, err := strconv.Atoi(string(word)); err == nil && pid > 0 { // 0: not in this pid namespace
					pids = append(pids, pid)
				}
			}
			return true
		})
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// KillCgroup kills all processes of a v2 cgroup, also those outside this pid namespace (cgroup.kill, Linux 5.14), and
// reports whether it could.
func KillCgroup(path string) bool {
	for _, h := range hierarchies() {
		if h.unified && writeExisting(filepath.Join(h.mount, path, "cgroup.kill"), "1") == nil {
			return true
		}
	}
	return false
}

func writeExisting(path, value string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(value)
	return err
}

func anyProcess(dir string) bool {
	return !eachCgroup(dir, func(procs []byte) bool { return len(procs) == 0 })
}

// eachCgroup calls more with the process list of a cgroup, then of those below it, until more returns false.
func eachCgroup(dir string, more func(procs []byte) bool) bool {
	if procs, err := ReadFile(filepath.Join(dir, "cgroup.procs")); err == nil && !more(procs) {
		return false
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() && !eachCgroup(filepath.Join(dir, e.Name()), more) {
			return false
		}
	}
	return true
}

type hierarchy struct {
	mount   string
	unified bool
}

// hierarchies returns the mounts whose root is that of a hierarchy, as seen in this cgroup namespace
// (proc_pid_mountinfo(5)), one per hierarchy.
func hierarchies() []hierarchy {
	data, err := ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var found []hierarchy
	seen := make(map[string]bool)
	for line := range bytes.Lines(data) {
		before, after, ok := bytes.Cut(line, []byte(" - cgroup"))
		if !ok {
			continue
		}
		fields := strings.Fields(string(before))
		if len(fields) < 6 || fields[3] != "/" || seen[fields[2]] {
			continue
		}
		mount := strings.ReplaceAll(fields[4], `\040`, " ")
		if !isCgroupMount(mount) {
			continue
		}
		seen[fields[2]] = true
		found = append(found, hierarchy{mount, bytes.HasPrefix(after, []byte("2 "))})
	}
	return found
}

// isCgroupMount reports whether path leads to a cgroup file system. Another mount may cover it.
func isCgroupMount(path string) bool {
	const cgroup1, cgroup2 = 0x27e0eb, 0x63677270
	var fs syscall.Statfs_t
	return syscall.Statfs(path, &fs) == nil && (fs.Type == cgroup1 || fs.Type == cgroup2)
}
