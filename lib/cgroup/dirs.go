package cgroup

import "path/filepath"

// Dir is the cgroup's directory in one hierarchy.
type Dir struct {
	Name string // of the hierarchy below /sys/fs/cgroup: cpu, memory …; "" if v2 is the only one
	Path string
}

// Dirs returns the cgroup's directory in every hierarchy, for the container's view of /sys/fs/cgroup.
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
