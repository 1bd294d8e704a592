package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// Group is a cgroup: the directories of one path in all hierarchies. It need not exist.
type Group struct {
	Path      string // within each hierarchy: /mydocker/4f2322145e66
	base      string // the common parent, which is removed with its last child
	stateMark string // of the container's state directory
	trees     trees
}

// Open returns the cgroup at path. The path starts at the mount point of each hierarchy, whatever
// cgroup this process is in.
func Open(path string) (*Group, error) {
	path, err := cleanPath(path)
	if err != nil {
		return nil, err
	}
	ts, err := hostTrees()
	if err != nil {
		return nil, err
	}
	return &Group{Path: path, base: base, trees: ts}, nil
}

// cleanPath returns path absolute and without "..", so that it never leaves the hierarchy. It refuses
// systemd's form (slice:prefix:name) and the root cgroup.
func cleanPath(path string) (string, error) {
	if strings.Count(path, ":") == 2 && !strings.Contains(path, "/") {
		return "", fmt.Errorf("cgroup path %.80q: systemd's form is not supported: want a path such as %s/ID", path, base)
	}
	if strings.ContainsAny(path, "\x00\n") {
		return "", fmt.Errorf("cgroup path %.80q: contains a control character", path)
	}
	clean := filepath.Clean("/" + path)
	if clean == "/" {
		return "", fmt.Errorf("cgroup path %.80q: is the root cgroup", path)
	}
	return clean, nil
}

// make creates the missing directories of the cgroup and prepares each so that a process can join it.
// undo removes the directories that it created.
func (g *Group) make() (undo func(), err error) {
	var made []string
	undo = func() {
		for i := len(made) - 1; i >= 0; i-- {
			linux.Trace("rmdir", made[i])
			_ = rmdir(made[i]) // a parent may have other children by now
		}
	}
	for _, t := range g.trees {
		// Another process may remove a parent with its last child between two steps. Then mkdir fails with
		// ENOENT, or a write to an open file with ENODEV.
		for try := 0; ; try++ {
			err = g.makeIn(t, &made)
			if try == 100 || !(errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)) {
				break
			}
		}
		if err != nil {
			undo()
			return nil, err
		}
	}
	if len(made) > 0 {
		g.markStateDir(g.stateMark)
	}
	return undo, nil
}

// makeIn creates the cgroup in one hierarchy, with its missing parents.
func (g *Group) makeIn(t *tree, made *[]string) error {
	dir := t.dir(g.Path)
	err := mkdir(dir, made)
	for parent := t.mount; errors.Is(err, fs.ErrNotExist); {
		for _, name := range strings.Split(g.Path[1:], "/") {
			parent = filepath.Join(parent, name)
			before := len(*made)
			if err = mkdir(parent, made); err != nil {
				return err
			}
			if len(*made) > before && parent != dir && t.needsCpuset() {
				if err = t.passCpusetDown(parent); err != nil {
					return err
				}
			}
		}
	}
	if err == nil && t.needsCpuset() {
		err = t.seedCpuset(dir)
	}
	return err
}

// needsCpuset reports whether cpus and memory nodes must be set in a new cgroup.
func (t *tree) needsCpuset() bool { return t.version == 1 && t.has("cpuset") }

// passCpusetDown sets cpus and memory nodes of a new cgroup and makes the kernel copy them to its children. Writing them
// for each child would make the kernel rebuild the scheduling domains of all cpus each time.
func (t *tree) passCpusetDown(dir string) error {
	if err := t.seedCpuset(dir); err != nil {
		return err
	}
	return write(filepath.Join(dir, "cgroup.clone_children"), "1")
}

// mkdir creates a directory and appends it to made. An existing directory is not an error.
func mkdir(dir string, made *[]string) error {
	err := syscall.Mkdir(dir, 0o755)
	switch err {
	case nil:
		linux.Trace("mkdir", dir)
		*made = append(*made, dir)
	case syscall.EEXIST:
	default:
		return &fs.PathError{Op: "mkdir", Path: dir, Err: err}
	}
	return nil
}

// seedCpuset copies cpus and memory nodes from the parent cgroup: on v1 a new cgroup has none, and no process
// can join it (cgroup-v1/cpusets.rst). If the parent has none either, it is seeded first.
func (t *tree) seedCpuset(dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		has, err := readWord(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		if has != "" {
			continue
		}
		parent := filepath.Dir(dir)
		want, err := readWord(filepath.Join(parent, file))
		if err == nil && want == "" && parent != t.mount {
			if err = t.seedCpuset(parent); err == nil {
				want, err = readWord(filepath.Join(parent, file))
			}
		}
		if err != nil {
			return err
		}
		if err := write(filepath.Join(dir, file), want); err != nil {
			return err
		}
	}
	return nil
}

// Add moves a process into the cgroup, in every hierarchy. Its future children start there.
func (g *Group) Add(pid int) error {
	for _, t := range g.trees {
		linux.TraceWrite(filepath.Join(t.dir(g.Path), "cgroup.procs"), strconv.Itoa(pid))
		if err := g.move(t, "cgroup.procs", pid); err != nil {
			return err
		}
	}
	return nil
}

// Enter moves the calling thread into the cgroup, in every hierarchy. It is for a thread that is locked
// to its goroutine and about to call execve(2), which ends the other threads. On v1 a thread that moves
// itself takes no lock that waits for all cpus, so Enter costs microseconds and Add milliseconds. v2
// moves whole processes; a process that was cloned into [Group.OpenUnified] is there already. --debug
// prints the equivalent shell command.
func (g *Group) Enter() error {
	for _, t := range g.trees {
		if linux.Tracing() {
			slog.Debug("echo $$ > " + linux.Quote(filepath.Join(t.dir(g.Path), "cgroup.procs")))
		}
		file := "tasks"
		if t.version == 2 {
			if g.inUnified() {
				continue
			}
			file = "cgroup.procs"
		}
		if err := g.move(t, file, 0); err != nil {
			return err
		}
	}
	return nil
}

// move moves a process or thread, 0 for the calling one, in one hierarchy.
func (g *Group) move(t *tree, file string, pid int) error {
	if err := writeQuietly(filepath.Join(t.dir(g.Path), file), strconv.Itoa(pid)); err != nil {
		return fmt.Errorf("move process %d to cgroup %s: %w", pid, g.Path, err)
	}
	return nil
}

// OpenUnified opens the cgroup's directory in the v2 hierarchy, for clone3(2) with CLONE_INTO_CGROUP
// (syscall.SysProcAttr.CgroupFD, Linux 5.7). It returns nil if v2 is not mounted. --debug prints the equivalent shell
// command.
func (g *Group) OpenUnified() (*os.File, error) {
	t := g.trees.unified()
	if t == nil {
		return nil, nil
	}
	if linux.Tracing() {
		slog.Debug("echo $$ > " + linux.Quote(filepath.Join(t.dir(g.Path), "cgroup.procs")))
	}
	return os.Open(t.dir(g.Path))
}

// ProcsFiles returns the "tasks" files of the v1 hierarchies: a process with one thread joins the cgroup by writing 0
// to each, at the cost of [Group.Enter]. On v2 it is cloned into the cgroup ([Group.OpenUnified]).
func (g *Group) ProcsFiles() []string {
	var files []string
	for _, t := range g.trees {
		if t.version == 1 {
			files = append(files, filepath.Join(t.dir(g.Path), "tasks"))
		}
	}
	return files
}

// inUnified reports whether this process is in the cgroup of the v2 hierarchy (cgroups(7), /proc/pid/cgroup).
func (g *Group) inUnified() bool {
	data, err := os.ReadFile("/proc/thread-self/cgroup")
	return err == nil && strings.Contains("\n"+string(data), "\n0::"+g.Path+"\n")
}

// Exists reports whether the cgroup exists in any hierarchy.
func (g *Group) Exists() bool {
	for _, t := range g.trees {
		if _, err := os.Stat(t.dir(g.Path)); err == nil {
			return true
		}
	}
	return false
}

// ErrForeign is returned for a cgroup with processes that have no id in this process's pid namespace.
var ErrForeign = errors.New("cgroup has processes of another pid namespace")

// Procs returns the processes in the cgroup, without those of its children.
func (g *Group) Procs() ([]int, error) {
	err := fs.ErrNotExist
	for _, t := range g.trees {
		var data []byte
		if data, err = os.ReadFile(filepath.Join(t.dir(g.Path), "cgroup.procs")); err != nil {
			continue
		}
		pids := []int{}
		for _, word := range strings.Fields(string(data)) {
			pid, err := strconv.Atoi(word)
			if err == nil && pid == 0 {
				err = ErrForeign
			}
			if err != nil {
				return nil, fmt.Errorf("list processes of cgroup %s: %w", g.Path, err)
			}
			pids = append(pids, pid)
		}
		return pids, nil
	}
	return nil, fmt.Errorf("list processes of cgroup %s: %w", g.Path, err)
}

// AllProcs returns the processes in the cgroup and in its descendants.
func (g *Group) AllProcs() ([]int, error) {
	pids, err := g.Procs()
	if err != nil {
		return nil, err
	}
	for _, t := range g.trees {
		entries, err := os.ReadDir(t.dir(g.Path))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			below, err := (&Group{Path: filepath.Join(g.Path, e.Name()), trees: trees{t}}).AllProcs()
			if err != nil {
				continue // removed since ReadDir
			}
			pids = append(pids, below...)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// current returns the content of a file of the cgroup, "" if it cannot be read.
func (g *Group) current(t *tree, file string) string {
	value, err := readWord(filepath.Join(t.dir(g.Path), file))
	if err != nil {
		return ""
	}
	return value
}

// oldValue returns the value to write to a step's file to restore its present state. It is "" if there is none, as
// for files with a line per device.
func (g *Group) oldValue(s step) string {
	if strings.HasSuffix(s.file, "_device") || s.file == "io.max" || strings.HasSuffix(s.file, ".weight") && s.name != "cpu" ||
		s.name == "devices" || s.file == "net_prio.ifpriomap" || s.file == "rdma.max" {
		return ""
	}
	value := g.current(s.tree, s.file)
	if s.file == "memory.oom_control" { // "oom_kill_disable 0" and more lines
		value = strconv.FormatUint(files(s.tree.dir(g.Path)).table(s.file)["oom_kill_disable"], 10)
	}
	return value
}

// write writes one value and prints the equivalent shell command with --debug.
func write(path, value string) error {
	linux.TraceWrite(path, value)
	return writeQuietly(path, value)
}

// writeQuietly writes one value to an existing file. It uses plain system calls because os.File would register each
// file with the runtime's poller.
func writeQuietly(path, value string) error {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_TRUNC|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	for err = syscall.EINTR; err == syscall.EINTR; {
		_, err = syscall.Write(fd, []byte(value))
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// rmdir removes one directory. A missing directory is not an error.
func rmdir(dir string) error {
	err := syscall.Rmdir(dir)
	if err == nil || err == syscall.ENOENT {
		return nil
	}
	return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
}
