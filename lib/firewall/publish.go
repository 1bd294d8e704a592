package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/state"
)

// The file published/ID in the runtime directory marks a container with published ports. It is a symbolic link to the number
// of its rules in each family, so that missing rules are noticed and restored. Under the lock, the mark is made after the
// rules and removed before them.

const publishedForm = "%d:%d" // IPv4 and IPv6

func (fw *Firewall) publishedDir() string           { return filepath.Join(fw.dir.Run, "published") }
func (fw *Firewall) publishedPath(id string) string { return filepath.Join(fw.publishedDir(), id) }

// Publish adds the rules of a container's ports, with one process for each family.
func (fw *Firewall) Publish(ctx context.Context, id string, n state.Net) error {
	unlock, err := fw.dir.LockShared(state.FirewallLock)
	if err != nil {
		return err
	}
	defer unlock()
	err = fw.each(scopeOf(n), func(f state.Family, v variant) error {
		return v.restore(ctx, f, portRules(f, id, n))
	})
	if err != nil {
		return err
	}
	return fw.mark(id, n)
}

// Unpublish removes the rules of a container's ports, with one process for each family if all are there.
func (fw *Firewall) Unpublish(ctx context.Context, id string, n state.Net) error {
	err := fw.changing(scopeOf(n), func(f state.Family, v variant) error {
		if f == state.IPv4 {
			if err := fw.unmark(id); err != nil {
				return err
			}
		}
		return v.restore(ctx, f, deletions(portRules(f, id, n)))
	})
	if err != nil { // another program has changed the rules: remove what is left
		return fw.RemoveContainer(ctx, id)
	}
	return fw.unmark(id)
}

// RemoveContainer removes the rules and the mark of container id, whatever ports it had.
func (fw *Firewall) RemoveContainer(ctx context.Context, id string) error {
	if err := fw.Remove(ctx, ContainerTag(id)); err != nil {
		return err
	}
	return fw.unmark(id)
}

// RemoveIfEmpty removes the directory of marks if it is empty.
func (fw *Firewall) RemoveIfEmpty() { _ = os.Remove(fw.publishedDir()) }

func (fw *Firewall) mark(id string, n state.Net) error {
	if err := os.MkdirAll(fw.publishedDir(), 0o700); err != nil {
		return err
	}
	counts := fmt.Sprintf(publishedForm, len(portRules(state.IPv4, id, n)), len(portRules(state.IPv6, id, n)))
	err := os.Symlink(counts, fw.publishedPath(id))
	if errors.Is(err, fs.ErrExist) { // from a killed command
		if err := os.Remove(fw.publishedPath(id)); err != nil {
			return err
		}
		return os.Symlink(counts, fw.publishedPath(id))
	}
	return err
}

func (fw *Firewall) unmark(id string) error {
	err := os.Remove(fw.publishedPath(id))
	fw.RemoveIfEmpty()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// published returns the number of port rules of each container that has a mark.
func (fw *Firewall) published(f state.Family) (map[string]int, error) {
	entries, err := os.ReadDir(fw.publishedDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	found := make(map[string]int)
	for _, e := range entries {
		var count4, count6 int
		target, err := os.Readlink(fw.publishedPath(e.Name()))
		if err != nil {
			continue // it has just gone, or an older version wrote it
		}
		if _, err := fmt.Sscanf(target, publishedForm, &count4, &count6); err != nil {
			continue
		}
		found[e.Name()] = count4
		if f == state.IPv6 {
			found[e.Name()] = count6
		}
	}
	return found, err
}

// publishedRules returns the port rules of each container that has a mark.
func (fw *Firewall) publishedRules(f state.Family) (map[string][]change, error) {
	entries, err := os.ReadDir(fw.publishedDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rules := make(map[string][]change)
	for _, e := range entries {
		n, err := fw.dir.ReadNet(e.Name())
		if err != nil {
			continue // an unreadable record must not block the others
		}
		rules[e.Name()] = portRules(f, e.Name(), n)
	}
	return rules, nil
}

// scopeOf returns the families in which a container's ports are published.
func scopeOf(n state.Net) scope { return scope(n.Outlet(state.IPv6) >= 0) }

// portRules returns the rules of a family that publish the ports of container id.
func portRules(f state.Family, id string, n state.Net) []change {
	i := n.Outlet(f)
	if i < 0 {
		return nil
	}
	return portRulesTo(n.Endpoints[i].AddressOf(f).Addr(), id, n.Ports)
}
