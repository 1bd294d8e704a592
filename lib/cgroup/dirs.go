package cgroup

import "path/filepath"

// Dir is the group's directory in one hierarchy.
type Dir struct {
	Name string // as the hierarchy is called below /sys/fs/cgroup: cpu, memory …; "" where it is the only one
	Path string
}

// Dirs returns the group's directory in every hierarchy: what a container shall see of /sys/fs/cgroup.
func (g *Group) Dirs() []Dir {
	if len(g.trees) == 1 && g.trees[0].version == 2 {
		return []Dir{{Path: g.trees[0].dir(g.Path)}}
	}
	var dirs []Dir
	for _, t := range g.trees {
		dirs = append(dirs, Dir{Name: filepath.Base(t.mount), Path: t.dir(g.Path)})
	}
	return dirs
}
