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

// create makes the group with its limits, or nothing.
func (g *Group) create(r *specs.LinuxResources) (undo func(), err error) {
	p, err := makePlan(g.trees, thisHost(), r, g.now)
	if err != nil {
		return nil, err
	}
	undo, err = g.make()
	if err != nil {
		return nil, fmt.Errorf("make group %s: %w", g.Path, err)
	}
	if err = g.enable(p); err == nil {
		err = g.write(p)
	}
	if err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// enable passes the controllers that the plan needs, and those that count use, down to the group: on
// v2 a group has the files of what its parent's cgroup.subtree_control names (cgroup-v2.rst).
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
	wish := slices.Clone(need)
	for _, name := range []string{"cpu", "memory", "io", "pids"} {
		if t.has(name) && !slices.Contains(need, name) {
			wish = append(wish, name)
		}
	}
	dir := t.mount
	for _, name := range strings.Split(g.Path[1:], "/") {
		for _, controller := range wish {
			err := enableIn(dir, controller)
			if err != nil && slices.Contains(need, controller) {
				return fmt.Errorf("pass the %s controller on to group %s: %w", controller, g.Path, err)
			}
		}
		dir = filepath.Join(dir, name)
	}
	return g.takesProcesses(dir)
}

// takesProcesses checks that programs can be put into a new v2 group: below a threaded one only threads can
// (cgroup-v2.rst, "Threads"), and the kernel would say no more than "not supported" when the program starts.
func (g *Group) takesProcesses(dir string) error {
	kind, err := readWord(filepath.Join(dir, "cgroup.type"))
	if err == nil && kind != "domain" && kind != "domain threaded" {
		return fmt.Errorf("group %s takes no processes, it is %s: a group above it is threaded: see cgroup.type there, or name another path",
			g.Path, kind)
	}
	return nil // other errors show where it is used
}

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
		return fmt.Errorf("%w: processes stand in %s itself: move them to a group below it", err, dir)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("it is not in %s: the group above has it not to hand on", filepath.Join(dir, "cgroup.controllers"))
	case errors.Is(err, syscall.EOPNOTSUPP):
		return fmt.Errorf("%w: %s is threaded, and this controller is not: name a path elsewhere", err, dir)
	}
	return err
}

// write writes what is planned, in order.
func (g *Group) write(p *plan) error {
	for _, s := range p.steps {
		if err := g.step(s); err != nil {
			return err
		}
	}
	return g.limitDevices(p)
}

// limitDevices is v2's part of it.
func (g *Group) limitDevices(p *plan) error {
	if p.program == nil {
		return nil
	}
	if err := attachDevices(p.trees.unified().dir(g.Path), p.program); err != nil {
		return fmt.Errorf("linux.resources.devices: %w: this needs a kernel with CONFIG_CGROUP_BPF", err)
	}
	return nil
}

func (g *Group) step(s step) error {
	path := filepath.Join(s.tree.dir(g.Path), s.file)
	if s.file == rtRuntime {
		if err := g.lendRealtime(s); err != nil {
			return err
		}
	}
	err := write(path, s.value)
	switch {
	case errors.Is(err, fs.ErrNotExist) && unlimited(s.value):
		return nil // what cannot be limited is not
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: this kernel has no %s: %s", s.flag, s.file, lacks(s.file))
	case errors.Is(err, syscall.EOPNOTSUPP):
		return fmt.Errorf("%s: this kernel does not support %s: %s", s.flag, s.file, lacks(s.file))
	case errors.Is(err, syscall.EBUSY) && s.name == "memory":
		return fmt.Errorf("%s %s: more than that is in use: %w", s.flag, s.value, err)
	case err != nil:
		return fmt.Errorf("%s %s: %w", s.flag, s.value, err)
	}
	if strings.HasPrefix(s.file, "memory.kmem.") && ignored(s.value, g.now(s.tree, s.file)) {
		return fmt.Errorf("%s: this kernel takes %s and ignores it: %s", s.flag, s.file, lacks(s.file))
	}
	return nil
}

// ignored reports whether a limit reads back as more than was written: kernels since 5.16 accept
// a limit of kernel memory and forget it.
func ignored(wrote, read string) bool {
	w, err1 := strconv.ParseInt(wrote, 10, 64)
	r, err2 := strconv.ParseInt(read, 10, 64)
	return err1 == nil && err2 == nil && w >= 0 && r > w
}
