package container

import (
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/state"
)

// ListOptions choose the containers of md-ps and `mydocker ps`.
type ListOptions struct {
	All    bool     `short:"a" hidden:"" help:"All containers, which is the default"`
	Last   *int     `short:"n" help:"Only the last n containers created"`
	Latest bool     `short:"l" help:"Only the last container created"`
	Filter []string `short:"f" sep:"none" help:"Only those with name, id, image, status, exited (a code), network, volume or label, e.g. --filter status=running"`
}

// limit returns how many of n containers are listed at most.
func (o ListOptions) limit(n int) int {
	switch {
	case o.Latest:
		return 1
	case o.Last != nil:
		return *o.Last
	}
	return n
}

// Check returns an error if a filter is wrong.
func (o ListOptions) Check() error {
	_, err := parseFilters(o.Filter, "")
	return err
}

// List returns the containers, the newest first. One that cannot be read is reported to bad and left out.
func List(dir state.Dir, o ListOptions, bad func(error)) ([]Row, error) {
	keep, err := parseFilters(o.Filter, dir.Volumes())
	if err != nil {
		return nil, err
	}
	containers, err := dir.ListAll(bad)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(o.Filter, func(f string) bool { return strings.HasPrefix(f, "volume=") }) {
		for _, c := range containers { // ListAll reads no mounts
			if whole, err := dir.Load(c.ID); err == nil {
				c.Spec.Mounts = whole.Spec.Mounts
			}
		}
	}
	limit := o.limit(len(containers))
	rows := []Row{}
	for i, r := range allRows(containers) {
		if keep(r, containers[i]) && len(rows) < limit {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func allRows(containers []*state.Container) []Row {
	paused := pausedNow()
	rows := make([]Row, len(containers))
	state.Parallel(len(rows), func(i int) { rows[i] = newRow(containers[i], paused(containers[i])) })
	return rows
}

// pausedNow returns a function that reports whether a container is paused. On a host without cgroups none is.
func pausedNow() func(*state.Container) bool {
	host, err := cgroup.ThisHost()
	return func(c *state.Container) bool {
		return c.Running && err == nil && host.Frozen(c.Spec.LinuxPart().CgroupsPath)
	}
}
