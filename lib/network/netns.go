package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// The network namespace of another program, of a process or at a path, is attached like a container, but without a
// document: the directory containers/ID has net.json only. The attachment lasts until the kernel deletes its links together
// with the namespace. Then its addresses and ports are released.

// Place is a network namespace, given in one of two ways.
type Place struct {
	PID   int    `name:"pid" placeholder:"PID" help:"The network namespace of this process"`
	NetNS string `name:"netns" placeholder:"PATH" help:"The network namespace at this path, or with this name (ip netns)"`
}

// Named reports whether a namespace is given.
func (p Place) Named() bool { return p.PID != 0 || p.NetNS != "" }

// Path returns the absolute path of the namespace, and an error if it is not one.
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
		path = filepath.Join("/run/netns", path) // as ip-netns(8) does
	}
	path, err := filepath.Abs(path)
	if err == nil {
		err = linux.CheckNetNS(path)
	}
	return path, err
}

// AttachTo connects a namespace under a new id, until [Manager.Detach] or until the namespace is gone.
func (m *Manager) AttachTo(ctx context.Context, id string, p Place, o Connection) error {
	plan, err := o.parse()
	if err != nil {
		return err
	}
	if plan.mode != state.ModeBridge {
		return fmt.Errorf("network %s: want the name of a network for an existing namespace", plan.mode)
	}
	path, err := p.Path()
	if err != nil {
		return err
	}
	_, err = m.attachNetNS(ctx, id, state.Net{Mode: plan.mode, NetNS: path, Ports: plan.ports}, plan.joins)
	return err
}

// DetachFrom undoes all calls of [Manager.AttachTo] for a namespace. It is idempotent. Attachments of CNI runtimes stay.
func (m *Manager) DetachFrom(ctx context.Context, p Place) error {
	path, err := p.Path()
	if err != nil {
		return err
	}
	ids, err := m.dir.IDs()
	errs := []error{err}
	for _, id := range ids {
		n, err := m.dir.ReadNet(id)
		if err == nil && n.NetNS != "" && n.CNI == (state.CNI{}) && link.SameFile(n.NetNS, path) {
			errs = append(errs, m.DetachAlone(ctx, id))
		}
	}
	return errors.Join(errs...)
}

// attachNetNS connects the namespace of a record, and returns the completed record.
func (m *Manager) attachNetNS(ctx context.Context, id string, n state.Net, joins []join) (state.Net, error) {
	if err := state.CheckID(id); err != nil {
		return n, err
	}
	if link.IsOwnNamespace(n.NetNS) {
		return n, fmt.Errorf("%s is the host's own network namespace", n.NetNS)
	}
	var err error
	if n.Process, err = processOf(n.NetNS); err != nil {
		return n, err
	}
	_ = m.Sweep(ctx) // leftovers do not block this attachment; the next sweep tries again
	unlock, err := m.lockContainer(ctx, id)
	if err != nil {
		return n, err
	}
	defer unlock()
	if _, err := os.Stat(m.dir.Bundle(id)); err == nil {
		return n, fmt.Errorf("%s is attached already", id)
	}
	// Until the links are there, only the owner tells that the attachment is not an orphan.
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

// Sweep settles what killed commands have left, and detaches the namespaces that are gone.
func (m *Manager) Sweep(ctx context.Context) error {
	locks, err := m.dir.OrphanedLocks()
	errs := []error{err}
	for _, lock := range locks {
		_, err := m.Settle(ctx, lock)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, m.detachIf(ctx, m.isLost))...)
}

// detachIf detaches the namespaces for which stale returns true.
func (m *Manager) detachIf(ctx context.Context, stale func(id string, n state.Net) bool) error {
	ids, err := m.dir.IDs()
	errs := []error{err}
	for _, id := range ids {
		if n, err := m.dir.ReadNet(id); err != nil || n.NetNS == "" || !stale(id, n) {
			continue
		}
		errs = append(errs, m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
			if n.NetNS == "" || !stale(id, n) { // another command was faster
				return nil
			}
			return m.forget(ctx, id, n)
		}))
	}
	return errors.Join(errs...)
}

// isLost reports whether an attached namespace is gone. Its links tell, because the kernel deletes a veth pair with either
// end. Paths and pids are reused.
func (m *Manager) isLost(id string, n state.Net) bool {
	if run, err := m.dir.ReadRun(id); err == nil && run.Monitor.Life() != state.Dead {
		return false // its links are being made
	}
	if len(n.Endpoints) == 0 {
		return !isReachable(n)
	}
	for _, e := range n.Endpoints {
		if dev, err := link.Find(e.HostLink); dev != nil || err != nil {
			return false
		}
	}
	return true
}

// isReachable reports whether the path still leads to the namespace.
func isReachable(n state.Net) bool {
	return linux.CheckNetNS(n.NetNS) == nil && (n.Process.PID == 0 || n.Process.Life() != state.Dead)
}

// isUp reports whether container id has its namespace, so that links can be made in it.
func (m *Manager) isUp(id string, n state.Net) bool {
	if n.NetNS != "" {
		return isReachable(n) && !m.isLost(id, n)
	}
	return linux.CheckNetNS(m.dir.NetNS(id)) == nil
}

// processOf returns the process whose namespace a path in /proc names, the zero Process for other paths.
func processOf(path string) (state.Process, error) {
	rest, ok := strings.CutPrefix(path, "/proc/")
	if !ok {
		return state.Process{}, nil
	}
	word, _, _ := strings.Cut(rest, "/")
	pid, err := strconv.Atoi(word)
	if err != nil {
		return state.Process{}, fmt.Errorf("network namespace %s: want a path with a pid", path)
	}
	return state.FindProcess(pid)
}

// Namespace returns the path of the network namespace of container id, or of the attached namespace with this id.
func (m *Manager) Namespace(id string) (string, error) {
	n, err := m.dir.ReadNet(id)
	if err != nil {
		return "", err
	}
	if n.OwnsNamespace() && m.isUp(id, n) {
		return n.Namespace(m.dir, id), nil
	}
	if n.NetNS != "" {
		return "", fmt.Errorf("namespace %s is gone", n.NetNS)
	}
	// It shares a namespace: the host's, another container's, or one at a path.
	pid, life := m.dir.Look(id).Run.Init.Local()
	switch {
	case life == state.Dead:
		return "", errors.New("it is not running")
	case pid == 0:
		return "", state.ErrElsewhere
	}
	return fmt.Sprintf("/proc/%d/ns/net", pid), nil
}

// sharedNamespace returns the path of the namespace that a mode shares, "" for the host's.
func (m *Manager) sharedNamespace(mode string) (string, error) {
	if path, ok := strings.CutPrefix(mode, state.ModePath); ok {
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("network %s: want an absolute path", mode)
		}
		if err := linux.CheckNetNS(path); err != nil {
			return "", fmt.Errorf("network %s: %w", mode, err)
		}
		return path, nil
	}
	other, ok := strings.CutPrefix(mode, state.ModeContainer)
	if !ok {
		return "", nil
	}
	path, err := m.Namespace(other)
	if err != nil {
		return "", fmt.Errorf("network of container %s: %w", m.containerName(other), err)
	}
	return path, nil
}
