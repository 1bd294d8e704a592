package network

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// changedPath holds the sysctls of this host that we changed, by name, and what they were before.
func (m *Manager) changedPath() string { return filepath.Join(m.dir.Run, "sysctls.json") }

// changeSysctl sets a parameter of this host as a whole, and notes what it was.
func (m *Manager) changeSysctl(name, value string) error {
	data, err := os.ReadFile("/proc/sys/" + name)
	before := strings.TrimSpace(string(data))
	if err != nil || before == value {
		return sysctl(name, value)
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
	return sysctl(name, value)
}

// restoreSysctls puts back what changeSysctl changed, when the last of our networks is down that needs it. A host
// that has got a bridge or tunnel of somebody else meanwhile may live on it: there it stays.
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
	foreign, err := foreignRouters(up)
	if err != nil || foreign {
		return err
	}
	before := len(changed)
	names := slices.Sorted(maps.Keys(changed))
	// forwarding last: setting it sets what others of a link follow from.
	slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	for _, name := range names {
		needed := len(up) > 0
		if strings.HasPrefix(name, sysctl6) {
			needed = slices.ContainsFunc(up, Network.has6)
		}
		if needed {
			continue
		}
		if err := sysctl(name, changed[name]); err != nil && !errors.Is(err, fs.ErrNotExist) { // its link may be gone
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

// foreignRouters reports whether the host has links by which others forward, besides our bridges.
func foreignRouters(ours []Network) (bool, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return false, fmt.Errorf("list links: %w", err)
	}
	for _, link := range links {
		switch link.Type() {
		case "bridge", "tun", "wireguard", "vrf", "openvswitch":
			if !slices.ContainsFunc(ours, func(n Network) bool { return n.Link == link.Attrs().Name }) {
				return true, nil
			}
		}
	}
	return false, nil
}

// sysctl sets a parameter of the calling thread's namespace, if it has another value.
func sysctl(name, value string, in ...string) error {
	path := "/proc/sys/" + name
	old, err := linux.ReadRecord(path)
	if err == nil && string(bytes.TrimSpace(old)) == value {
		return nil
	}
	if len(in) == 0 {
		linux.TraceWrite(path, value)
	} else {
		linux.Trace(append(in, "sh", "-c", "echo "+value+" > "+linux.Quote(path))...)
	}
	if err := linux.WriteSysctl(path, value); err != nil {
		return fmt.Errorf("set %s to %s: %w", strings.ReplaceAll(name, "/", "."), value, err)
	}
	return nil
}
