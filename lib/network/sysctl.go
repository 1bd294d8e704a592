package network

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/state"
)

// changedPath is a file with the sysctls of the host that we have changed, and their values before.
func (m *Manager) changedPath() string { return filepath.Join(m.dir.Run, "sysctls.json") }

// changeSysctl sets a sysctl of the host, and stores its value before.
func (m *Manager) changeSysctl(name, value string) error {
	data, err := os.ReadFile("/proc/sys/" + name)
	before := strings.TrimSpace(string(data))
	if err != nil || before == value {
		return link.SetSysctl(name, value)
	}
	changed := make(map[string]string)
	if err := state.ReadJSON(m.changedPath(), &changed); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, noted := changed[name]; !noted {
		changed[name] = before
		if err := state.WriteVolatile(m.changedPath(), changed); err != nil {
			return err
		}
	}
	return link.SetSysctl(name, value)
}

// restoreSysctls restores the sysctls that changeSysctl has changed and that no network needs any more. If the host now has
// a bridge or tunnel of another program, which may need them too, they stay.
func (m *Manager) restoreSysctls() error {
	changed := make(map[string]string)
	err := state.ReadJSON(m.changedPath(), &changed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	up, err := m.upNetworks()
	if err != nil {
		return err
	}
	others, err := hasOtherRouters(up)
	if err != nil || others {
		return err
	}
	before := len(changed)
	names := slices.Sorted(maps.Keys(changed))
	// "forwarding" comes last: setting it resets other sysctls of the links.
	slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	for _, name := range names {
		needed := len(up) > 0
		if strings.HasPrefix(name, link.SysctlIPv6) {
			needed = slices.ContainsFunc(up, Network.has6)
		}
		if needed {
			continue
		}
		if err := link.SetSysctl(name, changed[name]); err != nil && !errors.Is(err, fs.ErrNotExist) { // the link may be gone
			return err
		}
		delete(changed, name)
	}
	switch len(changed) {
	case 0:
		return os.Remove(m.changedPath())
	case before:
		return nil
	}
	return state.WriteVolatile(m.changedPath(), changed)
}

// hasOtherRouters reports whether the host has links of other programs between which it may forward.
func hasOtherRouters(ours []Network) (bool, error) {
	links, err := link.List()
	if err != nil {
		return false, err
	}
	for _, dev := range links {
		switch dev.Type() {
		case "bridge", "tun", "wireguard", "vrf", "openvswitch":
			if !slices.ContainsFunc(ours, func(n Network) bool { return n.Link == dev.Attrs().Name }) {
				return true, nil
			}
		}
	}
	return false, nil
}
