package cgroup

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unified plans linux.resources.unified, which maps names of v2's files to values.
func (p *plan) unified(values map[string]string) {
	if len(values) == 0 {
		return
	}
	const flag = "linux.resources.unified"
	t := p.trees.unified()
	if t == nil {
		p.refuse(flag, "cgroup v2 is not mounted", "use the other fields of linux.resources")
		return
	}
	for _, file := range slices.Sorted(maps.Keys(values)) {
		controller, rest, ok := strings.Cut(file, ".")
		if !ok || rest == "" || strings.Contains(file, "/") {
			p.refuse(flag, fmt.Sprintf("%.40q is not a cgroup file", file), "want a name such as memory.high")
			continue
		}
		if controller != "cgroup" && !t.has(controller) {
			p.refuse(flag, fmt.Sprintf("%s: the %s controller is not in %s", file, controller, t.dir("cgroup.controllers")), "leave it out")
			continue
		}
		p.steps = append(p.steps, step{t, controller, flag + "." + file, file, values[file]})
	}
}
