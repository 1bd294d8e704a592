// Package link makes and reads what the kernel has for a network: links, addresses, routes, sysctls of links, and the
// flows of connection tracking. It speaks rtnetlink(7) and starts no process.
package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
)

// MaxName is the length of the longest link name: IFNAMSIZ without the final zero.
const MaxName = 15

const flagNoDAD = 0x02 // IFA_F_NODAD (linux/if_addr.h)

// Link is a link as the kernel describes it.
type Link = netlink.Link

// Handle changes and reads the links, addresses and routes of one network namespace through one socket. A socket stays
// in the namespace in which it was opened, whatever thread uses it.
type Handle struct {
	*netlink.Handle
	in []string // words before each traced command: see [Within]
}

// Open opens a socket in the namespace of the calling thread.
func Open(in ...string) (Handle, error) {
	h, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
	if err != nil {
		return Handle{}, fmt.Errorf("open netlink socket: %w", err)
	}
	return Handle{h, in}, nil
}

// Here returns a handle that opens a socket for each request, in the namespace of the calling thread.
func Here(in ...string) Handle { return Handle{new(netlink.Handle), in} }

// Within returns the words that run a command in the namespace at path.
func Within(path string) []string { return []string{"nsenter", "--net=" + path} }

func (h Handle) trace(words ...string) {
	if linux.Tracing() {
		linux.Trace(append(append(h.in, "ip"), words...)...)
	}
}

// Find returns the link with a name, nil if there is none.
func (h Handle) Find(name string) (Link, error) {
	found, err := h.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get link %s: %w", name, err)
	}
	return found, nil
}

// MustFind returns the link with a name, and an error if it is missing or down.
func (h Handle) MustFind(name string) (Link, error) {
	found, err := h.Find(name)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, fmt.Errorf("link %s is missing", name)
	case found.Attrs().Flags&net.FlagUp == 0:
		return nil, fmt.Errorf("link %s is down", name)
	}
	return found, nil
}

// AddAddress adds an address. An address that the link has already is no error.
func (h Handle) AddAddress(dev Link, addr netip.Prefix) error {
	name := dev.Attrs().Name
	bits := addr.Addr().BitLen()
	ip := &netlink.Addr{IPNet: &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), bits)}}
	if addr.Addr().Is6() {
		// Leases keep addresses unique. Duplicate address detection would take a second (RFC 4862, section 5.4).
		ip.Flags = flagNoDAD
		h.trace("addr", "add", addr.String(), "nodad", "dev", name)
	} else {
		h.trace("addr", "add", addr.String(), "brd", "+", "dev", name)
	}
	if err := h.AddrAdd(dev, ip); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("add address %s to %s: %w", addr, name, err)
	}
	return nil
}

// SetUp sets a link up.
func (h Handle) SetUp(dev Link) error {
	name := dev.Attrs().Name
	h.trace("link", "set", name, "up")
	if err := h.LinkSetUp(dev); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// SetLoopbackUp sets lo up, which is the first link of every namespace.
func (h Handle) SetLoopbackUp() error {
	return h.SetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: 1}})
}

// AddDefaultRoutes adds a default route through each gateway. An existing default route stays: another program may
// have connected the namespace to another network.
func (h Handle) AddDefaultRoutes(dev Link, gateways []netip.Addr) error {
	for _, gateway := range gateways {
		h.trace("route", "add", "default", "via", gateway.String(), "dev", dev.Attrs().Name)
		route := &netlink.Route{LinkIndex: dev.Attrs().Index, Gw: gateway.AsSlice()}
		if err := h.RouteAdd(route); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("add default route via %s: %w", gateway, err)
		}
	}
	return nil
}

// awaitUp waits at most a second until the links pass packets. The kernel notices with a delay that the peer is up, and
// drops packets until then; a client would send them again only after a second.
func (h Handle) awaitUp(names ...string) error {
	const most, step = time.Second, 100 * time.Microsecond
	for end := time.Now().Add(most); len(names) > 0; {
		found, err := h.LinkByName(names[0])
		switch {
		case err != nil:
			return fmt.Errorf("wait for link %s: %w", names[0], err)
		case found.Attrs().OperState == netlink.OperUp:
			names = names[1:]
		case time.Now().After(end):
			return nil // a slow kernel is no failure
		default:
			time.Sleep(step)
		}
	}
	return nil
}

// Delete deletes a link and its peer. It is idempotent. The link disappears at once, but the call returns only after 10 ms
// or more, when no processor can be using it (rcu_barrier in netdev_run_todo, net/core/dev.c): run it in parallel with
// other work.
func (h Handle) Delete(name string) error {
	found, err := h.Find(name)
	if err != nil || found == nil {
		return err
	}
	h.trace("link", "del", name)
	// ENODEV: its namespace or its peer has just gone.
	if err := h.LinkDel(found); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("delete link %s: %w", name, err)
	}
	return nil
}

// Find is [Handle.Find] in the namespace of the calling thread.
func Find(name string) (Link, error) { return Here().Find(name) }

// MustFind is [Handle.MustFind] in the namespace of the calling thread.
func MustFind(name string) (Link, error) { return Here().MustFind(name) }

// Delete is [Handle.Delete] in the namespace of the calling thread.
func Delete(name string) error { return Here().Delete(name) }

// IsMissing reports whether there is no link with that name.
func IsMissing(name string) bool {
	found, err := Find(name)
	return found == nil && err == nil
}

// List lists the links of the calling thread's namespace.
func List() ([]Link, error) {
	found, err := Dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return found, nil
}

// Addresses lists the addresses of a link.
func Addresses(dev Link) ([]netip.Prefix, error) {
	list, err := Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(dev, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", dev.Attrs().Name, err)
	}
	var found []netip.Prefix
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.IPNet.String()); err == nil {
			found = append(found, p)
		}
	}
	return found, nil
}

// Dump lists objects of the kernel, again if they changed during the list.
func Dump[T any](list func() (T, error)) (T, error) {
	found, err := list()
	for tries := 0; errors.Is(err, netlink.ErrDumpInterrupted) && tries < 100; tries++ {
		found, err = list()
	}
	return found, err
}
