package cgroup

// Support says which cgroups this host has.
type Support struct {
	Version int      // 1 or 2: that of the hierarchies whose controllers limit containers
	Missing []string // controllers of everyday limits that no mounted hierarchy has
}

// HostSupport looks at the mounted hierarchies. A hybrid host counts as version 1: its controllers are there.
func HostSupport() (Support, error) {
	ts, err := hostTrees()
	if err != nil {
		return Support{}, err
	}
	return ts.support(), nil
}

func (ts trees) support() Support {
	s := Support{Version: 2}
	if ts.unified() == nil {
		s.Version = 1
	}
	for _, controller := range []string{"cpu", "cpuset", "memory", "pids"} {
		switch t := ts.find(controller); {
		case t == nil:
			s.Missing = append(s.Missing, controller)
		case t.version == 1:
			s.Version = 1
		}
	}
	return s
}
