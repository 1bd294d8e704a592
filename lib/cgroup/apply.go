package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// create creates the cgroup and sets its limits. On failure it removes what it created.
func (g *Group) create(r *specs.LinuxResources) (undo func(), err error) {
	p, err := makePlan(g.trees, thisHost(), r, g.current)
	if err != nil {
		return nil, err
	}
	undo, err = g.make()
	if err != nil {
		return nil, fmt.Errorf("create cgroup %s: %w", g.Path, err)
	}
	if err := g.enable(p); err != nil {
		undo()
		return nil, err
	}
	if err := g.write(p); err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// enable enables the controllers that the plan needs, and those for statistics, in the parents of the
// cgroup. On v2 a cgroup has the files of the controllers in its parent's cgroup.subtree_control
// (cgroup-v2.rst).
func (g *Group) enable(p *plan) error {
	t := g.trees.unified()
	if t == nil {
		return nil
	}
	var need []string
	for _, s := range p.steps {
		if s.tree == t && s.name != "cgroup" && !slices.Contains(need, s.name) {
			need = append(need, s.name)
		}
	}
	wanted := slices.Clone(need)
	for _, name := range []string{"cpu", "memory", "io", "pids"} {
		if t.has(name) && !slices.Contains(need, name) {
			wanted = append(wanted, name)
		}
	}
	dir := t.mount
	for _, name := range strings.Split(g.Path[1:], "/") {
		for _, controller := range wanted {
			err := enableIn(dir, controller)
			if err != nil && slices.Contains(need, controller) {
				return fmt.Errorf("enable the %s controller for cgroup %s: %w", controller, g.Path, err)
			}
		}
		dir = filepath.Join(dir, name)
	}
	return g.checkType(dir)
}

// checkType checks that a new v2 cgroup can hold processes. Below a threaded cgroup it can hold only threads
// (cgroup-v2.rst, "Threads"); the kernel reports this as EOPNOTSUPP when the program starts.
func (g *Group) checkType(dir string) error {
	kind, err := readWord(filepath.Join(dir, "cgroup.type"))
	if err == nil && kind != "domain" && kind != "domain threaded" {
		return fmt.Errorf("cgroup %s cannot hold processes: its type is %q because a parent is threaded: choose another path",
			g.Path, kind)
	}
	return nil // a read error shows again when the cgroup is used
}

// enableIn adds the controller to cgroup.subtree_control of the cgroup in dir.
func enableIn(dir, controller string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	enabled, err := readWord(file)
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(enabled), controller) {
		return nil
	}
	err = write(file, "+"+controller)
	switch {
	case errors.Is(err, syscall.EBUSY):
		return fmt.Errorf("parent cgroup %s has processes, move them to a child cgroup: %w", dir, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("parent cgroup does not delegate %s: not in %s", controller, filepath.Join(dir, "cgroup.controllers"))
	case errors.Is(err, syscall.EOPNOTSUPP):
		return fmt.Errorf("parent cgroup %s is threaded and the controller is not, choose another path: %w", dir, err)
	}
	return err
}

// write writes the values of the plan in order.
func (g *Group) write(p *plan) error {
	for _, s := range p.steps {
		if err := g.step(s); err != nil {
			return err
		}
	}
	return g.limitDevices(p)
}

// limitDevices attaches the plan's device program, if it has one (v2 only).
func (g *Group) limitDevices(p *plan) error {
	if p.program == nil {
		return nil
	}
	if err := attachDevices(p.trees.unified().dir(g.Path), p.program); err != nil {
		return fmt.Errorf("linux.resources.devices: attach device program (needs CONFIG_CGROUP_BPF): %w", err)
	}
	return nil
}

func (g *Group) step(s step) error {
	path := filepath.Join(s.tree.dir(g.Path), s.file)
	if s.file == rtRuntime {
		if err := g.raiseParentRealtime(s); err != nil {
			return err
		}
	}
	err := write(path, s.value)
	switch {
	case errors.Is(err, fs.ErrNotExist) && unlimited(s.value):
		return nil // without the file there is no limit
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: this kernel has no %s: %s", s.flag, s.file, missingHint(s.file))
	case errors.Is(err, syscall.EOPNOTSUPP):
		return fmt.Errorf("%s: this kernel does not support %s: %s", s.flag, s.file, missingHint(s.file))
	case errors.Is(err, syscall.EBUSY) && s.name == "memory":
		return fmt.Errorf("%s %s: present use exceeds the limit: %w", s.flag, s.value, err)
	case err != nil:
		return fmt.Errorf("%s %s: %w", s.flag, s.value, err)
	}
	if strings.HasPrefix(s.file, "memory.kmem.") && ignored(s.value, g.current(s.tree, s.file)) {
		return fmt.Errorf("%s: this kernel ignores %s: %s", s.flag, s.file, missingHint(s.file))
	}
	return nil
}

// ignored reports whether a limit reads back higher than it was written. Kernels since 5.16 accept
// a kernel memory limit and ignore it.
func ignored(wrote, read string) bool {
	w, err1 := strconv.ParseInt(wrote, 10, 64)
	r, err2 := strconv.ParseInt(read, 10, 64)
	return err1 == nil && err2 == nil && w >= 0 && r > w
}
