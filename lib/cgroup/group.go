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

// Group is one control group: the directories of one path in all hierarchies. It need not exist.
type Group struct {
	Path  string // within each hierarchy: /mydocker/4f2322145e66
	base  string // the parent of our groups, which goes with the last of them
	owner string // the set of state that it is made for
	trees trees
}

// Open returns the group at path, which is taken from the root of what is mounted of each hierarchy,
// wherever this process itself stands.
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

// cleanPath returns path absolute and without "..", so that it never leaves the hierarchy. Paths in
// systemd's form (slice:prefix:name) and the root group are refused.
func cleanPath(path string) (string, error) {
	if strings.Count(path, ":") == 2 && !strings.Contains(path, "/") {
		return "", fmt.Errorf("cgroup path %.80q: systemd's form is not understood: want a path such as %s/ID", path, base)
	}
	if strings.ContainsAny(path, "\x00\n") {
		return "", fmt.Errorf("cgroup path %.80q: holds a control byte", path)
	}
	clean := filepath.Clean("/" + path)
	if clean == "/" {
		return "", fmt.Errorf("cgroup path %.80q: is the root of all groups", path)
	}
	return clean, nil
}

// make makes the directories of the group that are missing, and gives each what a process needs to
// join it. It returns how to take away what it made.
func (g *Group) make() (undo func(), err error) {
	var made []string
	undo = func() {
		for i := len(made) - 1; i >= 0; i-- {
			linux.Trace("rmdir", made[i])
			_ = rmdir(made[i]) // another may use a parent by now
		}
	}
	for _, t := range g.trees {
		// A parent may go between two steps, with the last group in it that another removes: then it is
		// not there, or is no device any more to those who have just opened its files.
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
		g.markSet(g.owner)
	}
	return undo, nil
}

// makeIn makes the group in one hierarchy, and the groups above it where they are missing.
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
			if len(*made) > before && parent != dir && t.seeds() {
				if err = t.handDownCpuset(parent); err != nil {
					return err
				}
			}
		}
	}
	if err == nil && t.seeds() {
		err = t.seedCpuset(dir)
	}
	return err
}

// seeds reports whether a new group needs to be given cpus.
func (t *tree) seeds() bool { return t.version == 1 && t.has("cpuset") }

// handDownCpuset gives a new group cpus and memory nodes, and has the kernel give the same to those below it: each file
// of a cpuset that is written makes it build the scheduling domains of all cpus anew.
func (t *tree) handDownCpuset(dir string) error {
	if err := t.seedCpuset(dir); err != nil {
		return err
	}
	return write(filepath.Join(dir, "cgroup.clone_children"), "1")
}

// mkdir makes a directory, and notes it where it was not there.
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

// seedCpuset gives a group its parent's cpus and memory nodes: v1 starts with none, and no process can
// join then (cgroup-v1/cpusets.rst). A parent that has none yet gets its own parent's first.
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

// Add moves a process into the group, in every hierarchy. Its children to come are born there.
func (g *Group) Add(pid int) error {
	for _, t := range g.trees {
		linux.TraceWrite(filepath.Join(t.dir(g.Path), "cgroup.procs"), strconv.Itoa(pid))
		if err := g.move(t, "cgroup.procs", pid); err != nil {
			return err
		}
	}
	return nil
}

// Enter moves the calling thread into the group, in every hierarchy: for a thread that is locked to
// its goroutine and is about to become a program (execve(2) ends the process's other threads). A
// thread that moves itself on v1 needs no lock that waits for all cpus, so this costs microseconds
// where Add costs milliseconds. v2 moves whole processes only; one that was born in the group's
// [Group.OpenUnified] is there already. It shows itself as what a shell does to the same end.
func (g *Group) Enter() error {
	for _, t := range g.trees {
		if linux.Tracing() {
			slog.Debug("echo $$ > " + linux.Quote(filepath.Join(t.dir(g.Path), "cgroup.procs")))
		}
		file := "tasks"
		if t.version == 2 {
			if g.bornIn() {
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
		return fmt.Errorf("join process %d to group %s: %w", pid, g.Path, err)
	}
	return nil
}

// OpenUnified opens the group's directory in the v2 hierarchy, for clone3(2) with CLONE_INTO_CGROUP
// (syscall.SysProcAttr.CgroupFD, Linux 5.7). It returns nil where v2 is not mounted. It shows itself as what a shell
// does to the same end.
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

// ProcsFiles returns the files of v1 hierarchies that a process with one thread joins the group by, when it writes 0
// to them. What Enter says about the cost holds. In v2 it is born ([Group.OpenUnified]).
func (g *Group) ProcsFiles() []string {
	var files []string
	for _, t := range g.trees {
		if t.version == 1 {
			files = append(files, filepath.Join(t.dir(g.Path), "tasks"))
		}
	}
	return files
}

// bornIn reports whether this process is in the group in the v2 hierarchy (cgroups(7), /proc/pid/cgroup).
func (g *Group) bornIn() bool {
	data, err := os.ReadFile("/proc/thread-self/cgroup")
	return err == nil && strings.Contains("\n"+string(data), "\n0::"+g.Path+"\n")
}

// Exists reports whether the group is there in any hierarchy.
func (g *Group) Exists() bool {
	for _, t := range g.trees {
		if _, err := os.Stat(t.dir(g.Path)); err == nil {
			return true
		}
	}
	return false
}

// ErrForeign says that a group has processes that our pid namespace does not.
var ErrForeign = errors.New("processes of another pid namespace are in it")

// Procs returns the processes in the group, those in groups below it not.
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
				return nil, fmt.Errorf("list the processes of group %s: %w", g.Path, err)
			}
			pids = append(pids, pid)
		}
		return pids, nil
	}
	return nil, fmt.Errorf("list the processes of group %s: %w", g.Path, err)
}

// AllProcs returns the processes in the group and in those below it.
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
				continue // it has just gone
			}
			pids = append(pids, below...)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// now reads a file of the group, "" where there is none.
func (g *Group) now(t *tree, file string) string {
	value, err := readWord(filepath.Join(t.dir(g.Path), file))
	if err != nil {
		return ""
	}
	return value
}

// before is what to write to a file so that it says again what it says now; "" where that cannot be told, as
// with files that take a line for each device.
func (g *Group) before(s step) string {
	if strings.HasSuffix(s.file, "_device") || s.file == "io.max" || strings.HasSuffix(s.file, ".weight") && s.name != "cpu" ||
		s.name == "devices" || s.file == "net_prio.ifpriomap" || s.file == "rdma.max" {
		return ""
	}
	value := g.now(s.tree, s.file)
	if s.file == "memory.oom_control" { // "oom_kill_disable 0" and more lines
		value = strconv.FormatUint(files(s.tree.dir(g.Path)).table(s.file)["oom_kill_disable"], 10)
	}
	return value
}

// write shows and writes one value.
func write(path, value string) error {
	linux.TraceWrite(path, value)
	return writeQuietly(path, value)
}

// writeQuietly writes one value. The file is there already: the kernel made it. These are plain system calls
// since os.File would register every file of the kernel's with its poller.
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

// rmdir removes one directory. One that is gone is fine.
func rmdir(dir string) error {
	err := syscall.Rmdir(dir)
	if err == nil || err == syscall.ENOENT {
		return nil
	}
	return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
}
