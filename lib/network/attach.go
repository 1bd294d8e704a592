package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Attach returns the stage that connects a container for the first time: it claims addresses and ports,
// makes the namespace and the links in it, and publishes the ports. The document gets the path of the
// namespace, and a hook that undoes all that.
func (m *Manager) Attach(o Options) spec.Stage {
	return func(ctx context.Context, s *spec.Spec) error {
		id, err := state.EnsureID(s)
		if err != nil {
			return err
		}
		p, err := o.parse()
		if err == nil && o.PublishAll {
			err = p.expose(s.Annotation(spec.AnnotationExposed))
		}
		if err != nil {
			return err
		}
		unlock, err := m.lockContainer(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
		before, err := m.dir.ReadNet(id)
		if err == nil && before.Mode != "" {
			err = fmt.Errorf("container %s is attached already", id)
		}
		if err != nil {
			return err
		}
		n := state.Net{Mode: p.mode, Ports: p.ports, Names: namesOf(s), Hostname: s.Hostname}
		n.Unnamed = o.Unnamed && len(n.Names) == 1 && !slices.ContainsFunc(p.joins, func(j join) bool { return len(j.aliases) > 0 })
		path, err := m.attach(ctx, id, &n, p.joins)
		if err == nil {
			err = s.AddRelease(m.dir.Env(), "md-net", "detach", id)
		}
		if err != nil {
			undone := m.forget(context.WithoutCancel(ctx), id, n)
			if undone != nil { // whoever undoes the document tries again
				undone = errors.Join(undone, s.AddRelease(m.dir.Env(), "md-net", "detach", id))
			}
			return errors.Join(err, undone)
		}
		setNamespace(s, n.Mode, path)
		relaxSysctls(s, n.Mode)
		annotate(s, n)
		return nil
	}
}

// attach claims what the container needs, stores it, and makes it. It returns the path of the namespace.
// What it claimed stands in n, also where it fails.
func (m *Manager) attach(ctx context.Context, id string, n *state.Net, joins []join) (path string, err error) {
	// Leases of a container without a bundle count as those of one that is gone.
	if err := os.MkdirAll(m.dir.Bundle(id), 0o700); err != nil {
		return "", err
	}
	if strings.HasPrefix(n.Mode, modeContainer) {
		other, err := m.dir.Resolve(strings.TrimPrefix(n.Mode, modeContainer))
		if err != nil {
			return "", fmt.Errorf("network %s: %w", n.Mode, err)
		}
		n.Mode = modeContainer + other // a name may be given to another one
	}
	if err := m.checkReach(n.Ports, joins); err != nil {
		return "", err
	}
	if err := m.claimPorts(ctx, n.Ports, id); err != nil { // chooses those that are 0
		return "", err
	}
	var ups []uplink
	for _, j := range joins {
		e, up, err := m.newEndpoint(ctx, j.network, id, j.endpointOptions)
		if err != nil {
			return "", err
		}
		n.Endpoints, ups = append(n.Endpoints, e), append(ups, up)
	}
	// Before the links, so that they are found even after a SIGKILL.
	if err := m.writeNet(id, *n); err != nil {
		return "", err
	}
	return m.plugIn(ctx, id, *n, ups)
}

// Up connects a kept container again, as it was: the same addresses and ports.
func (m *Manager) Up(ctx context.Context, s *spec.Spec) error {
	id := s.ID()
	if err := state.CheckID(id); err != nil {
		return err
	}
	unlock, err := m.lockContainer(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	n, err := m.dir.ReadNet(id)
	if err != nil {
		return err
	}
	if n.Mode == "" {
		return fmt.Errorf("container %s: it was never attached to a network", id)
	}
	// What a start that was killed left behind would be in the way.
	if err := m.unplugAll(ctx, id, n); err != nil {
		return err
	}
	err = m.claimPorts(ctx, n.Ports, id)
	if err == nil {
		err = m.renew(n.Endpoints, id)
	}
	var ups []uplink
	if err == nil {
		ups, err = m.uplinks(ctx, n.Endpoints)
	}
	var path string
	if err == nil {
		path, err = m.plugIn(ctx, id, n, ups)
	}
	if err != nil {
		return errors.Join(err, m.unplugAll(context.WithoutCancel(ctx), id, n))
	}
	setNamespace(s, n.Mode, path)
	return nil
}

// Down removes what does not survive the container's process: links, namespace, rules. Addresses and
// net.json stay. It is idempotent.
func (m *Manager) Down(ctx context.Context, id string) error {
	return m.change(ctx, id, func(ctx context.Context, id string, n state.Net) error {
		_ = os.Remove(filepath.Join(m.dir.Bundle(id), state.TempPrefix+state.NetFile)) // of a connect that was killed
		return m.unplugAll(ctx, id, n)
	})
}

// Release removes all of a container's connections. It is idempotent.
func (m *Manager) Release(ctx context.Context, id string) error {
	return m.change(ctx, id, m.forget)
}

// Detach is the end of a container's process: a kept container goes down, and any other one is released.
func (m *Manager) Detach(ctx context.Context, id string) error {
	if m.dir.Kept(id) {
		return m.Down(ctx, id)
	}
	return m.Release(ctx, id)
}

// change does something to a container's connections under its lock.
func (m *Manager) change(ctx context.Context, id string, do func(context.Context, string, state.Net) error) error {
	if err := state.CheckID(id); err != nil {
		return err
	}
	unlock, err := m.lockContainer(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	n, err := m.dir.ReadNet(id)
	if err != nil {
		n = state.Net{} // torn: what the container has is found by its id
	}
	return do(ctx, id, n)
}

// plugIn makes what n says, and returns the path of the namespace: "" where it is the host's. ups are the networks of
// the endpoints.
func (m *Manager) plugIn(ctx context.Context, id string, n state.Net, ups []uplink) (path string, err error) {
	if !ownsNamespace(n.Mode) {
		if path, err = m.sharedNamespace(n.Mode); err == nil {
			err = m.addNames(id, n)
		}
		return path, err
	}
	path = m.namespacePath(id, n)
	published := m.inBackground(func() error { return m.publish(ctx, id, n) })
	if err = m.setUpNetNS(n, ups, path); err != nil {
		return "", errors.Join(err, published())
	}
	if err = m.addNames(id, n); err == nil {
		err = published()
	}
	if err == nil {
		err = m.openPorts6(n)
	}
	return path, err
}

// inBackground begins to do something, and returns what waits for its end. Where the shell commands for what is done are
// shown, one thing is done after the other.
func (m *Manager) inBackground(do func() error) (wait func() error) {
	if linux.Tracing() {
		err := do()
		return func() error { return err }
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	return sync.OnceValue(func() error { return <-done })
}

// setUpNetNS makes the namespace at path, where it is not another's, and connects it.
func (m *Manager) setUpNetNS(n state.Net, ups []uplink, path string) error {
	host, err := m.host()
	if err != nil {
		return err
	}
	enter, own := linux.InNetNS, n.NetNS == ""
	if own {
		enter = linux.NewNetNS
	}
	return enter(path, func() error {
		inside, err := openLinks(within(path)...)
		if err != nil {
			return err
		}
		defer inside.Close()
		if own {
			if err := inside.setLoopbackUp(); err != nil {
				return err
			}
		}
		for i, e := range n.Endpoints {
			if err := plug(host, inside, ups[i], e, path, ups[i].gatewaysFor(n, i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// setNamespace tells the document where the container's network is.
func setNamespace(s *spec.Spec, mode, path string) {
	if mode == modeHost {
		s.RemoveNamespace(specs.NetworkNamespace)
		return
	}
	s.SetNamespace(specs.NetworkNamespace, path)
}

// unplugAll removes what makeUp made. The links are what takes longest: all else is done meanwhile.
func (m *Manager) unplugAll(ctx context.Context, id string, n state.Net) error {
	unplugged := m.inBackground(func() error { return errors.Join(m.deleteLinks(n.Endpoints), flushEndpoints(n.Endpoints...)) })
	unpublished := m.inBackground(func() error { return m.unpublish(ctx, id, n) })
	names := m.removeNames(id, n)
	removed := linux.RemoveNetNS(m.dir.NetNS(id))
	unknown := error(nil)
	if n.Mode == "" { // its record is lost or torn; its links went with the namespace
		unknown = m.unpublishUnknown(ctx, id)
	}
	return errors.Join(names, unpublished(), removed, unplugged(), unknown)
}

// deleteLinks deletes the links of endpoints.
func (m *Manager) deleteLinks(endpoints []state.Endpoint) error {
	if len(endpoints) == 0 {
		return nil
	}
	host, err := m.host()
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range endpoints {
		errs = append(errs, host.delete(e.HostLink))
	}
	return errors.Join(errs...)
}

// forget removes everything about a container's connections. What could not be taken down stays written
// down, for the next try.
func (m *Manager) forget(ctx context.Context, id string, n state.Net) error {
	if err := m.unplugAll(ctx, id, n); err != nil {
		return err
	}
	errs := []error{m.dropJoining(id, n)}
	for _, e := range n.Endpoints {
		errs = append(errs, m.freeAll(e, id))
	}
	if n.Mode == "" || n.Mode == modeBridge && len(n.Endpoints) == 0 {
		errs = append(errs, m.releaseUnknown(ctx, id)) // killed before what it claimed was stored, or the file is lost
	}
	errs = append(errs, os.RemoveAll(m.netPath(id))) // whatever lies there
	_ = os.Remove(m.dir.Bundle(id))                  // it stays, of course, where other tools have files in it
	return errors.Join(errs...)
}

// newEndpoint claims an address of the network, and brings it up.
func (m *Manager) newEndpoint(ctx context.Context, network, id string, w endpointOptions) (e state.Endpoint, n uplink, err error) {
	unlock, err := m.lock()
	if err != nil {
		return e, n, err
	}
	defer unlock()
	// The bridge comes first: it settles the addresses of the default network.
	if n, err = m.up(ctx, network); err != nil {
		return e, n, err
	}
	eid := state.NewID()
	e = state.Endpoint{
		ID: eid, Network: n.Name, Driver: n.Driver, Internal: n.Internal, Aliases: w.aliases,
		HostLink: "veth-" + eid[:8], Link: cmp.Or(w.link, "ceth-"+eid[:8]),
	}
	if e.Address, err = m.lease(n.Network, ipv4, w.address, id); err != nil {
		return e, n, err
	}
	if n.has6() || w.address6.IsValid() {
		if e.Address6, err = m.lease(n.Network, ipv6, w.address6, id); err != nil {
			return e, n, errors.Join(err, m.free(n.Name, e.Address.Addr(), id))
		}
	}
	if w.mac == nil {
		w.mac = macOf(e.Address.Addr())
	}
	e.MAC = w.mac.String()
	return e, n, nil
}

// gatewaysFor returns the gateways of the addresses by which the default routes go: those of endpoint i,
// where it is an outlet.
func (n Network) gatewaysFor(c state.Net, i int) []netip.Addr {
	var list []netip.Addr
	for _, f := range families {
		if outlet(c, f) == i {
			list = append(list, n.gateway(f.address(c.Endpoints[i]).Addr()))
		}
	}
	return list
}

// outlet returns the index of the endpoint by which the default route and the ports of a family go: the
// first whose network has a way out; -1 where there is none.
func outlet(n state.Net, f family) int {
	return slices.IndexFunc(n.Endpoints, func(e state.Endpoint) bool { return !e.Internal && f.address(e).IsValid() })
}

func (m *Manager) netPath(id string) string { return filepath.Join(m.dir.Bundle(id), state.NetFile) }

// writeNet writes down how a container is connected, and waits for the disk where the container is kept.
func (m *Manager) writeNet(id string, n state.Net) error {
	err := state.WriteVolatile(m.netPath(id), n)
	if err == nil && m.dir.Kept(id) {
		err = m.dir.Persist(id, "")
	}
	return err
}

// annotate writes the container's networks and ports into the document.
func annotate(s *spec.Spec, n state.Net) {
	nets := []string{n.Mode}
	if n.Mode == modeBridge {
		nets = nil
	}
	for _, e := range n.Endpoints {
		for _, addr := range addresses(e) {
			nets = append(nets, e.Network+"="+addr.String())
		}
	}
	var ports []string
	for _, p := range n.Ports {
		ports = append(ports, formatPort(p))
	}
	s.Annotate(spec.AnnotationNets, strings.Join(nets, ","))
	s.Annotate(spec.AnnotationPorts, strings.Join(ports, ","))
}
