package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// A namespace that another program made, be it of a process or with a name, is attached like a container,
// but without a document: a directory containers/ID that holds net.json alone. It lasts as long as the
// kernel keeps its links, which go with the namespace; then its addresses and ports are taken back.

// Place names a network namespace: one of the two.
type Place struct {
	PID   int    `name:"pid" placeholder:"PID" help:"The network namespace of this process"`
	NetNS string `name:"netns" placeholder:"PATH" help:"The network namespace at this path, or of this name (ip netns)"`
}

// Named reports whether the place was given.
func (p Place) Named() bool { return p.PID != 0 || p.NetNS != "" }

// Path returns the path of the namespace, and checks that it is one.
func (p Place) Path() (string, error) {
	path := p.NetNS
	switch {
	case p.PID != 0 && p.NetNS != "":
		return "", errors.New("--pid and --netns exclude each other")
	case p.PID < 0:
		return "", fmt.Errorf("process %d: want a pid", p.PID)
	case p.PID != 0:
		path = fmt.Sprintf("/proc/%d/ns/net", p.PID)
	case !strings.Contains(path, "/") && path != "." && path != "..":
		path = filepath.Join("/run/netns", path) // where ip-netns(8) has them
	}
	path, err := filepath.Abs(path)
	if err == nil {
		err = linux.CheckNetNS(path)
	}
	return path, err
}

// AttachTo connects the namespace at a place under a new id, until [Manager.Detach] or until it is gone.
func (m *Manager) AttachTo(ctx context.Context, id string, p Place, o Connection) error {
	plan, err := o.parse()
	if err != nil {
		return err
	}
	if plan.mode != modeBridge {
		return fmt.Errorf("network %s: the namespace is there: name networks to connect it to", plan.mode)
	}
	path, err := p.Path()
	if err != nil {
		return err
	}
	_, err = m.attachForeign(ctx, id, state.Net{Mode: plan.mode, NetNS: path, Ports: plan.ports}, plan.joins)
	return err
}

// DetachFrom takes back all that [Manager.AttachTo] gave to the namespace at a place. It is idempotent; what a CNI runtime
// connected is left to that.
func (m *Manager) DetachFrom(ctx context.Context, p Place) error {
	path, err := p.Path()
	if err != nil {
		return err
	}
	ids, err := m.dir.IDs()
	errs := []error{err}
	for _, id := range ids {
		n, err := m.dir.ReadNet(id)
		if err == nil && n.NetNS != "" && n.CNI == (state.CNI{}) && sameNamespace(n.NetNS, path) {
			errs = append(errs, m.DetachAlone(ctx, id))
		}
	}
	return errors.Join(errs...)
}

// attachForeign connects the namespace that n names, and returns what it is connected to.
func (m *Manager) attachForeign(ctx context.Context, id string, n state.Net, joins []join) (state.Net, error) {
	if err := state.CheckID(id); err != nil {
		return n, err
	}
	if isOurs(n.NetNS) {
		return n, fmt.Errorf("%s is this host's own network", n.NetNS)
	}
	var err error
	if n.Process, err = processOf(n.NetNS); err != nil {
		return n, err
	}
	_ = m.Sweep(ctx) // what cannot be removed is in nobody's way; the next one tries again
	unlock, err := m.lockContainer(ctx, id)
	if err != nil {
		return n, err
	}
	defer unlock()
	if _, err := os.Stat(m.dir.Bundle(id)); err == nil {
		return n, fmt.Errorf("%s is attached already", id)
	}
	// Until its links are there nothing else tells that it is not gone.
	if err := m.dir.Acquire(id); err != nil {
		return n, err
	}
	defer m.dir.Release(id)
	_, err = m.attach(ctx, id, &n, joins)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return n, errors.Join(err, m.forget(context.WithoutCancel(ctx), id, n))
	}
	return n, nil
}

// Sweep detaches all namespaces that are gone, and settles what commands that were killed were at.
func (m *Manager) Sweep(ctx context.Context) error {
	locks, err := m.dir.OrphanedLocks()
	errs := []error{err}
	for _, lock := range locks {
		_, err := m.Settle(ctx, lock)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, m.collect(ctx, m.lost))...)
}

// collect detaches the namespaces that are stale, as the function says of their ids and records.
func (m *Manager) collect(ctx context.Context, stale func(string, state.Net) bool) error {
	ids, err := m.dir.IDs()
	errs := []error{err}
	for _, id := range ids {
		if n, err := m.dir.ReadNet(id); err != nil || n.NetNS == "" || !stale(id, n) {
			continue
		}
		errs = append(errs, m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
			if n.NetNS == "" || !stale(id, n) { // somebody was faster
				return nil
			}
			return m.forget(ctx, id, n)
		}))
	}
	return errors.Join(errs...)
}

// lost reports whether an attached namespace is gone. The links tell: the kernel removes the pair with
// either end. Paths and pids are given out again.
func (m *Manager) lost(id string, n state.Net) bool {
	if run, err := m.dir.ReadRun(id); err == nil && run.Monitor.Life() != state.Dead {
		return false // its links are being made
	}
	if len(n.Endpoints) == 0 {
		return !reachable(n)
	}
	for _, e := range n.Endpoints {
		if link, err := findLink(e.HostLink); link != nil || err != nil {
			return false
		}
	}
	return true
}

// reachable reports whether the path still leads to the namespace.
func reachable(n state.Net) bool {
	return linux.CheckNetNS(n.NetNS) == nil && (n.Process.PID == 0 || n.Process.Life() != state.Dead)
}

// processOf returns the process whose namespace the path means, the zero Process where it has a name of
// its own.
func processOf(path string) (state.Process, error) {
	rest, ok := strings.CutPrefix(path, "/proc/")
	if !ok {
		return state.Process{}, nil
	}
	word, _, _ := strings.Cut(rest, "/")
	pid, err := strconv.Atoi(word)
	if err != nil {
		return state.Process{}, fmt.Errorf("network namespace %s: want the number of a process, which stays", path)
	}
	return state.FindProcess(pid)
}

// isOurs reports whether the namespace at path is that of this process: the host's.
func isOurs(path string) bool { return sameNamespace("/proc/self/ns/net", path) }

// sameNamespace reports whether two paths lead to one namespace (namespaces(7): by device and inode).
func sameNamespace(a, b string) bool { return sameFile(a, b) }

func sameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}
